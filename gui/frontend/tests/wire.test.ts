import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { backoffMs, FIRST_MS, LAST_MS } from '@/services/backoff'
import { PIECE_BYTES, pieces, publishesOf } from '@/services/chunk'
import { uuid } from '@/services/ids'
import { dispatch, on, publicName, subscriptions } from '@/services/mqttRouter'
import { sha256Hex } from '@/services/sha256'

const hashed = (text: string) => createHash('sha256').update(text, 'utf8').digest('hex')

describe('sha256', () => {
  it('agrees with the platform on texts of every length around a block', () => {
    for (let length = 0; length < 140; length++) {
      const text = '網a'.repeat(length).slice(0, length)
      expect(sha256Hex(text)).toBe(hashed(text))
    }
    expect(sha256Hex('晚上'.repeat(20_000))).toBe(hashed('晚上'.repeat(20_000)))
  })
})

describe('chunks', () => {
  const message = { id: 'm', session_id: 'main', text: '' }
  it('leaves a small message whole', () => {
    expect(publishesOf({ ...message, text: 'hello' })).toEqual([{ ...message, text: 'hello' }])
  })
  it('cuts a large one between characters, with the hash of the whole', () => {
    const text = '家裡 "WiFi" 很慢 🐌\n'.repeat(3_000)
    const sent = publishesOf({ ...message, text })
    expect(sent.length).toBeGreaterThan(1)
    expect(sent.map((piece) => piece.text).join('')).toBe(text)
    for (const [index, piece] of sent.entries()) {
      expect(piece.chunk).toEqual({ index, count: sent.length, sha256: hashed(text) })
      expect(piece.id).toBe('m')
      expect(new TextEncoder().encode(JSON.stringify(piece.text)).length).toBeLessThanOrEqual(PIECE_BYTES + 2)
      expect(new TextEncoder().encode(JSON.stringify(piece)).length).toBeLessThan(20_480)
    }
  })
  it('counts bytes as they stand in JSON', () => {
    expect(pieces('"'.repeat(10), 10)).toEqual(['"""""', '"""""'])
    expect(pieces('🐌🐌', 4)).toEqual(['🐌', '🐌'])
  })
})

describe('back-off', () => {
  it('stays between 1 s and 120 s and doubles', () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      for (const random of [0, 0.3, 0.999]) {
        const wait = backoffMs(attempt, () => random)
        expect(wait).toBeGreaterThanOrEqual(FIRST_MS)
        expect(wait).toBeLessThanOrEqual(LAST_MS)
      }
    }
    expect(backoffMs(3, () => 1)).toBe(8_000)
    expect(backoffMs(30, () => 1)).toBe(LAST_MS)
    expect(backoffMs(4, () => 0)).not.toBe(backoffMs(4, () => 1))
  })
})

describe('router', () => {
  it('joins private copies with the public topics', () => {
    expect(publicName('chat/client/console-1/status')).toBe('chat/status')
    expect(publicName('chat/client/console-1/session/listed')).toBe('chat/session/listed')
    expect(publicName('chat/client/console-1/system/receive')).toBe('system/receive')
    expect(publicName('connection/ai-core')).toBe('connection/ai-core')
  })
  it('hands on what is readable and nothing else', () => {
    const heard: string[] = []
    const stop = on('chat/status', (status) => heard.push(status.status))
    expect(dispatch('chat/client/x/status', '{"id":"1","status":"sent"}')).toBe(true)
    expect(dispatch('chat/status', new TextEncoder().encode('{"id":"1","status":"failed"}'))).toBe(true)
    expect(dispatch('chat/status', 'not json')).toBe(false)
    expect(dispatch('chat/status', '[]')).toBe(false)
    expect(dispatch('chat/status', '{"id":"1"}')).toBe(false)
    expect(dispatch('chat/unknown', '{}')).toBe(false)
    stop()
    dispatch('chat/status', '{"id":"1","status":"sent"}')
    expect(heard).toEqual(['sent', 'failed'])
  })
  it('subscribes to its own private tree only', () => {
    expect(subscriptions('console-1').filter((filter) => filter.startsWith('chat/client/'))).toEqual(['chat/client/console-1/#'])
  })
})

describe('uuid', () => {
  it('is a version 4', () => {
    expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(uuid()).not.toBe(uuid())
  })
})
