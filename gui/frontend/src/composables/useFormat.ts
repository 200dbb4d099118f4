// Times, durations and figures in the reader's language.
import { computed } from 'vue'
import { useI18n } from 'vue-i18n'
import { Problem } from '@/services/api'
import type { Titles } from '@/types/api'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export function useFormat() {
  const { t, te, locale } = useI18n()
  const relative = computed(() => new Intl.RelativeTimeFormat(locale.value, { numeric: 'auto', style: 'short' }))
  const exactTime = computed(() => new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium', timeStyle: 'medium' }))
  const clock = computed(() => new Intl.DateTimeFormat(locale.value, { hour: '2-digit', minute: '2-digit', hour12: false }))
  const day = computed(() => new Intl.DateTimeFormat(locale.value, { month: 'short', day: 'numeric', weekday: 'short' }))
  const dayClock = computed(() => new Intl.DateTimeFormat(locale.value, { month: 'numeric', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false }))
  const figure = computed(() => new Intl.NumberFormat(locale.value, { maximumFractionDigits: 1 }))

  function ago(ms: number, now: number): string {
    const past = ms - now
    const size = Math.abs(past)
    if (size < 10_000) return t('time.now')
    if (size < MINUTE) return relative.value.format(Math.round(past / 1000), 'second')
    if (size < HOUR) return relative.value.format(Math.round(past / MINUTE), 'minute')
    if (size < DAY) return relative.value.format(Math.round(past / HOUR), 'hour')
    return relative.value.format(Math.round(past / DAY), 'day')
  }

  /** `0.4 s`, `31 s`, `2:05`. */
  function duration(ms: number): string {
    if (ms < 0) return ''
    if (ms < 10_000) return t('unit.seconds', { n: figure.value.format(ms / 1000) })
    if (ms < 100_000) return t('unit.seconds', { n: Math.round(ms / 1000) })
    return countdown(ms)
  }

  /** `4:05` */
  function countdown(ms: number): string {
    const seconds = Math.max(0, Math.ceil(ms / 1000))
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
  }

  function uptime(seconds: number): string {
    const days = Math.floor(seconds / 86_400)
    const hours = Math.floor((seconds % 86_400) / 3_600)
    const minutes = Math.floor((seconds % 3_600) / 60)
    if (days > 0) return t('unit.daysHours', { d: days, h: hours })
    if (hours > 0) return t('unit.hoursMinutes', { h: hours, m: minutes })
    return t('unit.minutes', { n: minutes })
  }

  const fine = computed(() => new Intl.NumberFormat(locale.value, { maximumFractionDigits: 4 }))
  const number = (value: number) => figure.value.format(value)
  const UNIT_SIGNS: Record<string, string> = { celsius: '°C', percent: '%', count: '', clients: '', mbps: 'Mbps', dbm: 'dBm', db: 'dB' }

  const sign = (unit?: string | null) => UNIT_SIGNS[(unit ?? '').toLowerCase()] ?? unit ?? ''

  /** A figure with its unit, the unit's name as its sign. */
  function quantity(value: number, unit?: string | null): string {
    return sign(unit) ? `${figure.value.format(value)} ${sign(unit)}` : figure.value.format(value)
  }

  const percent = (fraction: number) => `${figure.value.format(Math.round(fraction * 100))} %`

  function bytes(count: number): string {
    const units = ['B', 'kB', 'MB', 'GB', 'TB']
    let size = count
    let unit = 0
    while (size >= 1000 && unit < units.length - 1) {
      size /= 1000
      unit++
    }
    return `${figure.value.format(size)} ${units[unit]}`
  }

  /** A title of the catalogue in the reader's language. */
  function titled(titles: Titles | undefined, otherwise: string): string {
    return titles?.[locale.value as keyof Titles] ?? titles?.en ?? otherwise
  }

  /** A word of the wire in the reader's language, or itself with its underscores opened. */
  function word(family: string, value: string | null | undefined): string {
    if (!value) return t('common.unknown')
    const key = `${family}.${value.replaceAll('.', '_')}`
    return te(key) ? t(key) : value.replace(/[._]+/g, ' ')
  }

  /** An error as a sentence. */
  function sentence(error: unknown): string {
    if (!(error instanceof Problem)) return t('problem.unexpected')
    if (te(`problem.${error.code}`)) return t(`problem.${error.code}`)
    const detail = error.detail.trim()
    if (!detail) return t('problem.unexpected')
    const opened = detail[0]!.toUpperCase() + detail.slice(1)
    return /[.!?。！？]$/.test(opened) ? opened : `${opened}.`
  }

  return {
    ago,
    exact: (ms: number) => exactTime.value.format(ms),
    clock: (ms: number) => clock.value.format(ms),
    day: (ms: number) => day.value.format(ms),
    duration,
    countdown,
    uptime,
    number,
    moment: (ms: number) => dayClock.value.format(ms),
    sign,
    tick: (value: number) => fine.value.format(value),
    quantity,
    percent,
    bytes,
    titled,
    word,
    sentence,
  }
}
