// The main job in a real browser against a running `talkwire demo`: a complaint, live steps, the cause, Apply, before and after, the receipt.
// TALKWIRE_URL (default http://127.0.0.1:5000), SHOTS=dir for pictures, PATIENCE_MS (default 90000), CHROMIUM=path.
import { readFile } from 'node:fs/promises'
import { axe, byTest, ensure, finish, openBrowser, PATIENCE_MS, shot, step, until, URL_BASE, watchPage } from './house.mjs'

const COMPLAINT = '家裡 WiFi 很慢，尤其是晚上'
const ENDED = ['committed', 'rolled_back', 'rollback_failed', 'rejected', 'expired']
const PAGES = ['chat', 'devices', 'topology', 'sessions', 'changes', 'audit', 'system']

const browser = await openBrowser()
const page = browser.pages()[0] ?? (await browser.newPage())
page.setDefaultTimeout(30_000)
const seen = watchPage(page)
const input = byTest(page, 'chat-input')
const messages = byTest(page, 'message')
const card = byTest(page, 'approval-card').last()
const lamp = (name) => byTest(page, `lamp-${name}`)

async function chooseLanguage(locale) {
  await byTest(page, 'lang-switch').click()
  await byTest(page, `lang-${locale}`).click()
  await until(async () => (await page.getAttribute('html', 'lang')) === locale, `the page's language is ${locale}`, 10_000)
}

async function accessible(name) {
  const found = await axe(page)
  ensure(found.length === 0, `axe on ${name}: ${found.join('\n')}`)
}

console.log(`The main job at ${URL_BASE}\n`)

await step('the page opens', page, async () => {
  const answer = await page.goto(URL_BASE, { waitUntil: 'load' })
  ensure(answer?.ok(), `GET / answered ${answer?.status()}`)
  await input.waitFor()
}, { vital: true })

await step('the three lamps are lit', page, async () => {
  for (const name of ['client', 'ai', 'system']) {
    await until(async () => (await lamp(name).getAttribute('data-status')) === 'connected', `lamp ${name} is connected`, 30_000)
  }
})

await step('the language switches', page, async () => {
  for (const [locale, word] of [['zh-CN', '设备'], ['en', 'Devices'], ['zh-TW', '裝置']]) {
    await chooseLanguage(locale)
    ensure((await byTest(page, 'nav-devices').innerText()).includes(word), `the side bar does not say ${word} in ${locale}`)
  }
})

await step('the theme switches', page, async () => {
  const themes = new Set()
  for (let i = 0; i < 3; i++) {
    await byTest(page, 'theme-switch').click()
    themes.add(await page.evaluate(() => document.documentElement.dataset.theme ?? 'auto'))
  }
  ensure(themes.size === 3, `themes seen: ${[...themes].join(', ')}`)
})

await step("an input method's Enter does not send", page, async () => {
  const before = await messages.count()
  await input.focus()
  const devtools = await browser.newCDPSession(page)
  await devtools.send('Input.imeSetComposition', { text: '家裡', selectionStart: 2, selectionEnd: 2 })
  await devtools.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 })
  await devtools.send('Input.dispatchKeyEvent', { type: 'keyUp', key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 })
  await page.waitForTimeout(300)
  ensure((await messages.count()) === before, 'Enter during composition sent the message')
  ensure((await input.inputValue()).includes('家裡'), 'the composed text is gone')
  await devtools.send('Input.insertText', { text: '家裡' })
  await devtools.detach()
  await input.fill('')
  await input.press('a')
  await input.press('Shift+Enter')
  ensure((await input.inputValue()) === 'a\n', 'Shift+Enter does not break the line')
  await input.fill('')
})

await step('the complaint is typed and sent with Enter', page, async () => {
  await input.focus()
  await page.keyboard.insertText(COMPLAINT)
  await page.keyboard.press('Enter')
  const own = messages.filter({ hasText: COMPLAINT }).last()
  await own.waitFor()
  ensure((await input.inputValue()) === '', 'the input is not empty after sending')
  await until(async () => ['sent', 'processing', null].includes(await own.locator('.delivery').getAttribute('data-status', { timeout: 500 }).catch(() => null)), 'the message is sent', 20_000)
  const role = await own.getAttribute('data-role')
  ensure(role === 'user', `the local console speaks as ${role}, not as a person`)
}, { vital: true })

await step('steps arrive one by one', page, async () => {
  const answer = messages.filter({ has: byTest(page, 'step') }).last()
  const steps = answer.locator('[data-testid="step"]')
  await until(async () => (await steps.count()) > 0, 'the first step is there')
  const pictures = new Set()
  let shown = false
  await until(async () => {
    const states = await steps.evaluateAll((rows) => rows.map((row) => row.dataset.status))
    pictures.add(states.join())
    if (!shown && states.includes('running')) {
      shown = true
      await shot(page, 'chat-steps')
    }
    return states.length > 0 && states.every((state) => !['waiting', 'running'].includes(state)) && (await byTest(answer, 'cause-card').count()) > 0
  }, 'all steps have ended and the cause is there', PATIENCE_MS * 2)
  ensure(pictures.size >= 3, `the steps were seen in only ${pictures.size} states: ${[...pictures].join(' / ')}`)
  const completed = await steps.evaluateAll((rows) => rows.filter((row) => row.dataset.status === 'completed').length)
  ensure(completed > 0, 'no step was completed')
  return `${completed} of ${await steps.count()} completed, ${pictures.size} states seen`
}, { vital: true })

await step('a step opens to its request and result', page, async () => {
  const row = byTest(page, 'step').filter({ has: page.locator('code') }).first()
  await row.locator('summary').click()
  await row.locator('pre').first().waitFor()
  ensure((await row.locator('pre').count()) >= 2, 'request and result are not both shown')
  await row.locator('summary').click()
})

await step('the cause is read with its evidence', page, async () => {
  const cause = byTest(page, 'cause-card').last()
  ensure((await cause.getAttribute('data-verdict')) === 'fault', `the verdict is ${await cause.getAttribute('data-verdict')}`)
  ensure((await cause.locator('.evidence li').count()) > 0, 'the cause has no evidence')
  await cause.scrollIntoViewIfNeeded()
  await shot(page, 'chat-cause')
  return (await cause.locator('.text').innerText()).slice(0, 120)
})

await step('the approval card waits with a countdown', page, async () => {
  await until(async () => (await card.getAttribute('data-status')) === 'proposed', 'a change is proposed')
  await byTest(card, 'not-now').waitFor()
  await card.locator('[role="timer"]').waitFor()
  await card.scrollIntoViewIfNeeded()
  await shot(page, 'chat-proposed')
}, { vital: true })

await step('axe finds nothing serious in the chat with its cards', page, () => accessible('the chat'))

await step('Apply, reached and pressed by keyboard', page, async () => {
  await byTest(card, 'not-now').focus()
  await page.keyboard.press('Tab')
  ensure((await page.evaluate(() => document.activeElement?.dataset.testid)) === 'apply', 'Tab after Not now does not reach Apply')
  await page.keyboard.press('Enter')
  await until(async () => (await card.getAttribute('data-status')) !== 'proposed', 'the change goes on after Apply', 30_000)
}, { vital: true })

await step('the change is applied, measured, and ends', page, async () => {
  const states = []
  let ring = false
  await until(async () => {
    const state = await card.getAttribute('data-status')
    if (states[states.length - 1] !== state) states.push(state)
    if (['applied', 'verifying'].includes(state) && !ring && (await card.locator('[role="timer"]').count())) {
      ring = true
      ensure((await byTest(card, 'undo-now').count()) === 1, 'Undo now is missing while the change is live')
      await shot(page, 'chat-applied')
    }
    return ENDED.includes(state)
  }, 'the change has ended', PATIENCE_MS * 2)
  ensure(states[states.length - 1] === 'committed', `the change ended as ${states.join(' → ')}: ${await byTest(card, 'outcome').innerText().catch(() => '')}`)
  return states.join(' → ')
}, { vital: true })

await step('before and after are shown', page, async () => {
  const measured = byTest(card, 'measured')
  ensure((await measured.locator('dd').count()) === 2, 'before and after are not both shown')
  await byTest(card, 'undo-now').waitFor()
  await card.scrollIntoViewIfNeeded()
  await shot(page, 'chat-kept')
  return (await measured.locator('dd').allInnerTexts()).join(' → ')
})

await step('the receipt is verified and downloaded', page, async () => {
  await byTest(card, 'receipt').click()
  const dialog = byTest(page, 'receipt-dialog')
  await byTest(dialog, 'receipt-verify').click()
  await until(async () => (await byTest(dialog, 'receipt-state').getAttribute('data-valid')) === 'true', 'the receipt is valid', 20_000)
  const [download] = await Promise.all([page.waitForEvent('download'), byTest(dialog, 'receipt-download').click()])
  const receipt = JSON.parse(await readFile(await download.path(), 'utf8'))
  ensure(typeof receipt === 'object' && receipt !== null, 'the receipt is not a JSON object')
  await shot(page, 'receipt')
  await accessible('the receipt')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
})

await step('history is there after a reload', page, async () => {
  await page.reload()
  await messages.last().waitFor()
  // The list holds only what is near the view: the complaint stands above the long answer.
  await until(async () => {
    await messages.first().scrollIntoViewIfNeeded()
    await page.mouse.move(600, 400)
    await page.mouse.wheel(0, -2000)
    return (await messages.filter({ hasText: COMPLAINT }).count()) > 0
  }, 'the complaint is in the history', 30_000)
  await page.mouse.wheel(0, 20_000)
  await until(async () => (await card.getAttribute('data-status')) === 'committed', 'the card is still committed', 30_000)
})

await step('the keyboard goes everywhere', page, async () => {
  await page.keyboard.press('Control+k')
  await byTest(page, 'palette-input').waitFor()
  await page.keyboard.insertText('系統')
  await page.waitForTimeout(200)
  await page.keyboard.press('Enter')
  await page.waitForURL('**/system')
  await page.keyboard.press('Control+k')
  await byTest(page, 'palette-input').waitFor()
  await accessible('the palette')
  await page.keyboard.press('Escape')
  await byTest(page, 'palette').waitFor({ state: 'detached' })
  await byTest(page, 'nav-devices').focus()
  await page.keyboard.press('Enter')
  await page.waitForURL('**/devices')
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle)
  ensure(ring !== 'none', 'the focus cannot be seen')
})

/** The devices and what each hangs on, as a part of the page says it: `id < parent`, sorted. */
const hanging = (selector) => page.locator(selector).evaluateAll((items) => items.map((item) => `${item.dataset.id} < ${item.dataset.parent}`).sort())

await step('the network is drawn, and the keyboard goes through it from above', page, async () => {
  await byTest(page, 'nav-topology').click()
  const stops = page.locator('[data-testid="net-picture"] [data-stop]')
  await until(async () => (await byTest(page, 'net-node').count()) > 1 && (await byTest(page, 'net-group').count()) > 0, 'devices and folded clients are drawn')
  const order = await stops.evaluateAll((all) => all.map((stop) => ({ id: stop.dataset.id, kind: stop.dataset.kind, parent: stop.dataset.parent })))
  for (const [index, stop] of order.entries()) ensure(stop.kind === 'group' || stop.parent === '' || order.findIndex((one) => one.id === stop.parent) < index, `${stop.id} comes before ${stop.parent}, on which it hangs`)
  const here = () => page.evaluate(() => `${document.activeElement?.dataset.kind} ${document.activeElement?.dataset.id}`)
  await stops.first().focus()
  for (const stop of order) {
    ensure((await here()) === `${stop.kind} ${stop.id}`, `Tab led to ${await here()}, not to ${stop.kind} ${stop.id}`)
    await page.keyboard.press('Tab')
  }
  await stops.first().focus()
  await page.keyboard.press('ArrowDown')
  const below = await here()
  ensure(below !== `node ${order[0].id}`, 'the arrow down leads nowhere')
  await page.keyboard.press('ArrowUp')
  ensure((await here()) === `node ${order[0].id}`, `up from ${below} leads to ${await here()}`)
  const labels = await byTest(page, 'net-link').evaluateAll((all) => all.map((label) => label.innerText.trim()))
  ensure(labels.length > 0 && labels.every((label) => /\S/.test(label)), `links without words: ${JSON.stringify(labels)}`)
  return `${order.length} stops, links: ${labels.map((label) => label.replace(/\s+/g, ' ')).join(' | ')}`
})

await step('clients unfold, and the list says the same as the drawing', page, async () => {
  const counted = await byTest(page, 'net-group').evaluateAll((groups) => groups.reduce((all, group) => all + Number(group.dataset.count), 0))
  const folded = await byTest(page, 'net-node').count()
  for (const group of await byTest(page, 'net-group').all()) {
    await group.focus()
    await page.keyboard.press('Enter')
    ensure((await group.getAttribute('aria-expanded')) === 'true', 'Enter does not unfold')
  }
  await until(async () => (await byTest(page, 'net-node').count()) === folded + counted, `${counted} clients are unfolded beside ${folded} devices`, 10_000)
  const drawn = await hanging('[data-testid="net-node"]')
  const listed = await hanging('[data-testid="net-list"] li')
  ensure(drawn.join() === listed.join(), `drawn: ${drawn.join(', ')}\nlisted: ${listed.join(', ')}`)
  const names = await byTest(page, 'net-node').evaluateAll((nodes) => nodes.map((node) => node.querySelector('.name .clip').textContent.trim()))
  const said = await byTest(page, 'net-list').innerText()
  ensure(names.every((name) => said.includes(name)), `the list does not name ${names.filter((name) => !said.includes(name)).join(', ')}`)
  await shot(page, 'topology-unfolded')
  await accessible('the unfolded network')
  await byTest(page, 'net-view').locator('[data-value="list"]').click()
  await byTest(page, 'net-picture').waitFor({ state: 'detached' })
  ensure((await hanging('[data-testid="net-list"] li')).join() === drawn.join(), 'the list as cards says something else')
  await byTest(page, 'net-view').locator('[data-value="picture"]').click()
  await byTest(page, 'net-changes').waitFor()
  const known = page.locator('a[data-testid="net-node"]').first()
  const id = await known.getAttribute('data-id')
  await known.focus()
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/devices/*/*/${id}`)
  return `${drawn.length} devices, ${counted} of them unfolded`
})

await step('a device shows its figures over an hour, a day and a week, and the table behind them', page, async () => {
  const trend = byTest(page, 'trend').first()
  await trend.locator('svg[role="img"]').waitFor()
  for (const hours of ['24', '168', '1']) {
    const covers = (url) => Math.round((url.searchParams.get('to_ms') - url.searchParams.get('from_ms')) / 3_600_000)
    const answered = page.waitForResponse((response) => response.url().includes('/telemetry/') && response.ok() && covers(new URL(response.url())) === Number(hours))
    const choice = byTest(page, 'telemetry-range').locator(`[data-value="${hours}"]`)
    await choice.click()
    const { items, step_ms } = await (await answered).json()
    ensure(items.length > 0 && items.length <= 181 && items[0].min <= items[0].max, `${hours} h came as ${items.length} points of ${step_ms} ms`)
    ensure((await choice.getAttribute('aria-pressed')) === 'true', `${hours} h is not marked as chosen`)
    await trend.locator('svg[role="img"]').waitFor()
  }
  await byTest(trend, 'trend-table').click()
  await until(async () => (await trend.locator('tbody tr').count()) > 0, 'the table has rows', 10_000)
  const row = (await trend.locator('tbody tr').first().innerText()).replace(/\s+/g, ' ')
  await accessible('the figures as a table')
  return row
})

async function look(name) {
  await page.waitForTimeout(600)
  await accessible(name)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  ensure(wide <= 0, `${name} is ${wide} px too wide at ${page.viewportSize().width} px`)
}

const VARIANTS = [
  { name: 'light', scheme: 'light', locale: 'en', size: { width: 1280, height: 860 } },
  { name: 'dark-zh-TW', scheme: 'dark', locale: 'zh-TW', size: { width: 1280, height: 860 } },
  { name: 'phone-zh-CN', scheme: 'light', locale: 'zh-CN', size: { width: 360, height: 740 } },
]
for (const variant of VARIANTS) {
  await step(`every page looks right: ${variant.name}`, page, async () => {
    await page.emulateMedia({ colorScheme: variant.scheme })
    await page.setViewportSize({ width: 1280, height: 860 })
    await chooseLanguage(variant.locale)
    await page.setViewportSize(variant.size)
    const visited = async (name) => {
      await shot(page, `${name}-${variant.name}`)
      await look(`${name} (${variant.name})`)
    }
    for (const name of PAGES) {
      await byTest(page, `nav-${name}`).click()
      await page.waitForTimeout(500)
      if (name === 'devices') await byTest(page, 'device-row').first().waitFor()
      if (name === 'topology') await byTest(page, 'net-node').first().waitFor()
      await visited(name)
    }
    await byTest(page, 'nav-devices').click()
    await byTest(page, 'device-row').first().click()
    for (const tab of ['overview', 'capabilities', 'events', 'commands']) {
      await byTest(page, `tab-${tab}`).click()
      await page.waitForTimeout(300)
      await visited(`device-${tab}`)
    }
    await byTest(page, 'nav-sessions').click()
    await byTest(page, 'session-row').first().click()
    await byTest(page, 'timeline-step').first().waitFor()
    await visited('session')
    await byTest(page, 'nav-changes').click()
    await byTest(page, 'change-row').first().click()
    await byTest(page, 'approval-card').waitFor()
    await visited('change')
  })
}
await page.setViewportSize({ width: 1280, height: 860 })

await step('a device is asked through its form', page, async () => {
  await byTest(page, 'nav-devices').click()
  await byTest(page, 'device-row').first().click()
  await byTest(page, 'tab-commands').click()
  const pick = byTest(page, 'tool-pick')
  await pick.waitFor()
  const ops = await pick.locator('option').evaluateAll((options) => options.map((option) => option.value))
  const op = ops.find((name) => name === 'clients.list') ?? ops.find((name) => name.includes('.get_') || name.endsWith('.list')) ?? ops[0]
  await pick.selectOption(op)
  await byTest(page, 'tool-run').click()
  await page.locator('[role="status"] pre').waitFor({ timeout: PATIENCE_MS })
  return op
})

await step('a running diagnosis can be stopped', page, async () => {
  await byTest(page, 'nav-chat').click()
  await input.fill(COMPLAINT)
  await byTest(page, 'chat-send').click()
  const stop = byTest(page, 'stop').last()
  await stop.waitFor({ timeout: PATIENCE_MS })
  await stop.click()
  await until(async () => (await byTest(page, 'stop').count()) === 0, 'no step is waiting or running any more', 60_000)
})

await step('the audit chain is intact', page, async () => {
  await byTest(page, 'nav-audit').click()
  await until(async () => (await byTest(page, 'chain').getAttribute('data-ok')) === 'true', 'the chain is intact', 20_000)
})

await step('no error in the console, no request to another host', page, async () => {
  ensure(seen.errors.length === 0, `console: ${seen.errors.slice(0, 5).join('\n')}`)
  ensure(seen.foreign.length === 0, `other hosts: ${seen.foreign.slice(0, 5).join('\n')}`)
})

await step('a lost connection shows within 2 s and comes back', page, async () => {
  const other = await browser.newPage()
  const sockets = new Set()
  let refuse = false
  await other.routeWebSocket(/.*/, (socket) => {
    if (refuse) return void socket.close({ code: 1001 })
    socket.connectToServer()
    sockets.add(socket)
  })
  await other.goto(URL_BASE)
  const client = byTest(other, 'lamp-client')
  await until(async () => (await client.getAttribute('data-status')) === 'connected', 'the second page is connected', 30_000)
  refuse = true
  const cut = Date.now()
  for (const socket of sockets) await socket.close({ code: 1001 })
  await until(async () => (await client.getAttribute('data-status')) === 'disconnected', 'the lamp goes out', 2_000)
  const took = Date.now() - cut
  const words = await client.getAttribute('aria-label')
  ensure((await byTest(other, 'lamp-ai').getAttribute('data-status')) === 'unknown', 'the assistant lamp claims to know')
  await byTest(other, 'offline-banner').waitFor()
  await shot(other, 'offline')
  refuse = false
  await until(async () => (await client.getAttribute('data-status')) === 'connected', 'the lamp is lit again', 60_000)
  await other.close()
  return `${took} ms, "${words}"`
})

await browser.close()
finish()
