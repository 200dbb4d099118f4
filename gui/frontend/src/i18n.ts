// Three written languages; the reader's one is loaded at start, the others when chosen.
import { createI18n } from 'vue-i18n'

export const LOCALES = ['zh-TW', 'zh-CN', 'en'] as const
export type Locale = (typeof LOCALES)[number]

/** What each language calls itself. */
export const LOCALE_NAMES: Record<Locale, string> = { 'zh-TW': '繁體中文', 'zh-CN': '简体中文', en: 'English' }

const loaders: Record<Locale, () => Promise<{ default: Record<string, unknown> }>> = {
  'zh-TW': () => import('./locales/zh-TW.json'),
  'zh-CN': () => import('./locales/zh-CN.json'),
  en: () => import('./locales/en.json'),
}

export const i18n = createI18n({ legacy: false, locale: 'en', fallbackLocale: false, missingWarn: false, fallbackWarn: false, messages: {} as Record<string, never> })

/** The language to show: the one kept, else the first of the browser's that we write. */
export function chosenLocale(kept: string | null, wanted: readonly string[]): Locale {
  if (LOCALES.includes(kept as Locale)) return kept as Locale
  for (const tag of wanted) {
    if (/^zh\b.*\b(TW|HK|MO|Hant)\b/i.test(tag)) return 'zh-TW'
    if (/^zh\b/i.test(tag)) return 'zh-CN'
    if (/^en\b/i.test(tag)) return 'en'
  }
  return 'en'
}

/** Loads a language and shows it. */
export async function applyLocale(locale: Locale): Promise<void> {
  const global = i18n.global
  if (!(global.availableLocales as string[]).includes(locale)) {
    global.setLocaleMessage(locale, (await loaders[locale]()).default as never)
  }
  ;(global.locale as unknown as { value: string }).value = locale
  document.documentElement.lang = locale
}
