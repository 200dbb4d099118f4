import { describe, expect, it } from 'vitest'
import { createI18n } from 'vue-i18n'
import { isSendKey } from '@/composables/useSendKey'
import { chosenLocale } from '@/i18n'
import en from '@/locales/en.json'
import cn from '@/locales/zh-CN.json'
import tw from '@/locales/zh-TW.json'
import { supportOf } from '@/services/capabilities'
import { stagesOf } from '@/services/stages'
import type { Device, DiagnosisStep } from '@/types/api'

const press = (init: KeyboardEventInit & { keyCode?: number }) => {
  const event = new KeyboardEvent('keydown', { key: 'Enter', ...init })
  for (const [name, value] of Object.entries({ keyCode: init.keyCode ?? 13, isComposing: init.isComposing ?? false })) Object.defineProperty(event, name, { value })
  return event
}

describe('the send key', () => {
  it('is Enter alone', () => {
    expect(isSendKey(press({}))).toBe(true)
    expect(isSendKey(press({ shiftKey: true }))).toBe(false)
    expect(isSendKey(press({ ctrlKey: true }))).toBe(false)
    expect(isSendKey(press({ key: 'a' }))).toBe(false)
  })
  it('is never an input method’s Enter', () => {
    expect(isSendKey(press({ isComposing: true }))).toBe(false)
    expect(isSendKey(press({ keyCode: 229 }))).toBe(false)
  })
})

function leaves(node: unknown, path = ''): [string, string][] {
  if (typeof node === 'string') return [[path, node]]
  return Object.entries(node as object).flatMap(([key, value]) => leaves(value, path ? `${path}.${key}` : key))
}

describe('the languages', () => {
  const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort()
  it('say the same things with the same figures', () => {
    const english = new Map(leaves(en))
    for (const other of [tw, cn]) {
      const said = new Map(leaves(other))
      expect([...said.keys()].sort()).toEqual([...english.keys()].sort())
      for (const [key, text] of said) expect(new Set(names(text)), key).toEqual(new Set(names(english.get(key)!)))
    }
  })
  it('are written, not converted', () => {
    expect(JSON.stringify(cn)).not.toMatch(/網|訊|裝置|連線/)
    expect(JSON.stringify(tw)).not.toMatch(/网|讯|设备|连接/)
  })
  it('all compile', () => {
    const { global } = createI18n({ legacy: false, locale: 'en', messages: { en, 'zh-TW': tw, 'zh-CN': cn } as never }) as unknown as {
      global: { locale: { value: string }; t: (key: string, plural: number) => string }
    }
    for (const locale of ['en', 'zh-TW', 'zh-CN']) {
      global.locale.value = locale
      for (const [key] of leaves(en)) expect(global.t(key, 2), key).not.toBe(key)
    }
  })
  it('are chosen by what was kept, then by the browser', () => {
    expect(chosenLocale('zh-CN', ['en'])).toBe('zh-CN')
    expect(chosenLocale(null, ['de', 'zh-Hant-HK'])).toBe('zh-TW')
    expect(chosenLocale(null, ['zh-TW'])).toBe('zh-TW')
    expect(chosenLocale(null, ['zh'])).toBe('zh-CN')
    expect(chosenLocale('xx', ['fr'])).toBe('en')
  })
})

describe('stages of a session', () => {
  const step = (trace_id: string, started_at?: number, completed_at?: number): DiagnosisStep => ({ trace_id, tool: 'x', status: 'completed', started_at, completed_at })
  it('put steps that overlap side by side', () => {
    const stages = stagesOf([step('c', 50, 60), step('a', 0, 40), step('b', 10, 20), step('d')], 100)
    expect(stages.map((stage) => stage.map((one) => one.trace_id))).toEqual([['a', 'b'], ['c'], ['d']])
  })
  it('count a running step until now', () => {
    expect(stagesOf([step('a', 0), step('b', 50, 60)], 100)).toHaveLength(1)
  })
})

describe('what a device says of itself', () => {
  const device = (more: Partial<Device>): Device => ({ tenant: 't', site: 's', device_id: 'd', online: true, ...more })
  it('names its tools with reasons, the available first', () => {
    const support = supportOf(device({ capabilities: ['a.b'], attr: { capabilities: { tools: { 'a.b': { supported: true, limitations: { max_duration: 60 } }, 'a.a': { supported: false, reason: 'high_cpu_load' } } } } }))
    expect(support.map((one) => [one.op, one.supported, one.reason ?? one.limits])).toEqual([['a.b', true, 'max duration 60'], ['a.a', false, 'high_cpu_load']])
  })
})
