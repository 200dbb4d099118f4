// What the reader chose: language and theme, kept in this browser.
import { defineStore } from 'pinia'
import { ref } from 'vue'
import { applyLocale, chosenLocale, type Locale } from '@/i18n'

export type Theme = 'auto' | 'light' | 'dark'

const THEME_KEY = 'talkwire.theme'
const LOCALE_KEY = 'talkwire.locale'

function kept(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // A browser that keeps nothing still shows everything.
  }
}

export const useSettingsStore = defineStore('settings', () => {
  const locale = ref<Locale>(chosenLocale(kept(LOCALE_KEY), navigator.languages))
  const stored = kept(THEME_KEY)
  const theme = ref<Theme>(stored === 'light' || stored === 'dark' ? stored : 'auto')

  async function chooseLocale(next: Locale): Promise<void> {
    await applyLocale(next)
    locale.value = next
    keep(LOCALE_KEY, next)
  }

  function chooseTheme(next: Theme): void {
    theme.value = next
    keep(THEME_KEY, next)
    if (next === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = next
  }

  async function start(): Promise<void> {
    chooseTheme(theme.value)
    await applyLocale(locale.value)
  }

  return { locale, theme, chooseLocale, chooseTheme, start }
})
