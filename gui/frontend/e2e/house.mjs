// Tools of the browser test: a browser, steps with readable failures, accessibility checks.
import { existsSync, mkdirSync } from 'node:fs'
import { readFile, mkdtemp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

export const URL_BASE = (process.env.TALKWIRE_URL ?? 'http://127.0.0.1:5000').replace(/\/$/, '')
export const PATIENCE_MS = Number(process.env.PATIENCE_MS ?? 90_000)
const SHOTS = process.env.SHOTS
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const BROWSERS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

if (SHOTS) mkdirSync(SHOTS, { recursive: true })

/** Starts the system's Chromium with a profile of its own. */
export async function openBrowser(options = {}) {
  const executablePath = BROWSERS.find((path) => path && existsSync(path))
  if (!executablePath) throw new Error('no Chromium found: install it, or name it in CHROMIUM')
  const profile = await mkdtemp(join(tmpdir(), 'console-'))
  return chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, headless: true, viewport: { width: 1280, height: 860 }, locale: 'en-US', colorScheme: 'light', acceptDownloads: true, ...options })
}

const failures = []

/** One step: prints how it went. A `vital` step that fails ends the test. */
export async function step(name, page, act, { vital = false } = {}) {
  const started = Date.now()
  try {
    const said = await act()
    console.log(`  ok    ${name}${said ? `: ${said}` : ''} (${((Date.now() - started) / 1000).toFixed(1)} s)`)
    return true
  } catch (error) {
    const reason = String(error?.message ?? error).split('\n').slice(0, 12).join('\n          ')
    failures.push(name)
    console.log(`  FAIL  ${name}: ${reason}`)
    await shot(page, `fail-${failures.length}`).catch(() => undefined)
    if (vital) finish()
    return false
  }
}

export function finish() {
  console.log(failures.length ? `\n${failures.length} failed:\n${failures.map((name) => `  - ${name}`).join('\n')}` : '\nall steps passed')
  process.exit(failures.length ? 1 : 0)
}

export function ensure(condition, message) {
  if (!condition) throw new Error(message)
}

/** Waits until `look` answers something true. */
export async function until(look, what, limitMs = PATIENCE_MS) {
  const end = Date.now() + limitMs
  let last
  while (Date.now() < end) {
    last = await look().catch((error) => void (last = error))
    if (last) return last
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${what}: not within ${limitMs / 1000} s${last instanceof Error ? ` (${last.message})` : ''}`)
}

export async function shot(page, name) {
  if (SHOTS && page) await page.screenshot({ path: join(SHOTS, `${name}.png`) })
}

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds serious or critical on the page, as text. */
export async function axe(page) {
  await page.evaluate(axeSource)
  const found = await page.evaluate(async () => {
    const result = await globalThis.axe.run(document, { resultTypes: ['violations'] })
    return result.violations
      .filter((violation) => ['serious', 'critical'].includes(violation.impact))
      .map((violation) => `${violation.id} (${violation.impact}): ${violation.nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.any[0]?.message ?? ''}`).join(' | ')}`)
  })
  return found
}

/** Listens for what must not happen: errors in the console, requests to other hosts. */
export function watchPage(page) {
  const host = new URL(URL_BASE).hostname
  const seen = { errors: [], foreign: [], paused: false }
  page.on('console', (message) => !seen.paused && message.type() === 'error' && seen.errors.push(`${message.text()} @ ${message.location().url}`))
  page.on('pageerror', (error) => seen.errors.push(String(error)))
  const note = (address) => {
    const url = new URL(address)
    if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && url.hostname !== host) seen.foreign.push(address)
  }
  page.on('request', (request) => note(request.url()))
  page.on('websocket', (socket) => note(socket.url()))
  return seen
}

export const byTest = (page, id) => page.locator(`[data-testid="${id}"]`)
