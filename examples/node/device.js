// A device in one file: a sensor that joins Talkwire with mqtt.js 5.
//
//   node device.js --host 127.0.0.1 --tenant home --site living --id 0200000000ab
//
// `Sensor` is the device, `Device` is what every device needs.

const mqtt = require('mqtt')
const os = require('os')
const fs = require('fs')
const { parseArgs } = require('util')

/** Why a command was not done: a stable code, and one sentence. */
class CommandError extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)
const stamped = (family, body) => JSON.stringify({ schema: `${family}/1.0`, ts: Date.now(), ...body })

/** Connects, says who it is, answers commands. Tools are functions of their arguments, by op. */
class Device {
  constructor(options, attributes, tools) {
    this.id = options.id
    this.base = `rtk/v1/${options.tenant}/${options.site}/${options.id}`
    this.attributes = attributes
    this.tools = { 'device.status': () => this.status(), 'device.get_capabilities': () => this.capabilities(), ...tools }
    this.answers = new Map() // command id → its result, or null while it runs
    this.started = process.hrtime.bigint()
    this.cpuStarted = process.cpuUsage()
    this.lastCommandTs = null
    this.wait = 1000

    this.client = mqtt.connect({
      protocol: options.ca ? 'mqtts' : 'mqtt',
      host: options.host,
      port: Number(options.port),
      ca: options.ca ? fs.readFileSync(options.ca) : undefined,
      // The device's own certificate, when the broker asks for one.
      cert: options.cert ? fs.readFileSync(options.cert) : undefined,
      key: options.key ? fs.readFileSync(options.key) : undefined,
      username: options.username,
      password: options.password,
      // A client id of its own and clean: false: what is sent meanwhile waits at the broker.
      clientId: `sensor-${this.id}`,
      clean: false,
      keepalive: 60,
      reconnectPeriod: this.wait,
      // What has QoS 1 waits for the connection, figures (QoS 0) do not.
      queueQoSZero: false,
      will: { topic: `${this.base}/lwt`, payload: stamped('lwt', { status: 'offline', reason: 'unexpected_disconnect' }), qos: 1, retain: true },
    })
    this.client.on('connect', () => this.onConnect())
    this.client.on('message', (_topic, payload) => this.onMessage(payload))
    this.client.on('error', (error) => console.log('not connected:', error.message))
    this.client.on('close', () => {
      // 1 s, 2 s, 4 s … up to 120 s, with jitter, so that a thousand devices do not come back in the same second.
      this.client.options.reconnectPeriod = this.wait * (0.5 + Math.random() / 2)
      this.wait = Math.min(this.wait * 2, 120_000)
    })
  }

  // --- saying something

  say(tail, family, body, { qos = 1, retain = false } = {}) {
    this.client.publish(`${this.base}/${tail}`, stamped(family, body), { qos, retain })
  }

  telemetry(metric, value, unit) {
    this.say(`telemetry/${metric}`, `telemetry.${metric}`, { value, unit }, { qos: 0 })
  }

  event(name, data) {
    this.say(`evt/${name}`, `evt.${name}`, { device_id: this.id, event_type: name, data })
  }

  state() {
    this.say('state', 'state', this.status(), { retain: true })
  }

  // --- what every device answers

  /** CPU and memory are what this program uses. */
  status() {
    const seconds = Math.max(Number(process.hrtime.bigint() - this.started) / 1e9, 0.001)
    const used = process.cpuUsage(this.cpuStarted)
    return {
      health: 'ok',
      uptime_s: Math.round(seconds * 1000) / 1000,
      cpu_usage: Math.round((used.user + used.system) / seconds / 100) / 100,
      memory_usage: Math.round((process.memoryUsage().rss / os.totalmem()) * 10_000) / 100,
      connection_status: 'connected',
      last_command_ts: this.lastCommandTs,
    }
  }

  capabilities() {
    const ops = [...Object.keys(this.tools), 'batch.execute']
    return { device_type: this.attributes.device_type, tools: Object.fromEntries(ops.map((op) => [op, { supported: true, version: '1.0' }])) }
  }

  // --- the connection

  onConnect() {
    this.wait = 1000
    this.client.subscribe(`${this.base}/cmd/req`, { qos: 1 })
    this.say('lwt', 'lwt', { status: 'online' }, { retain: true })
    this.say('attr', 'attr', { device_id: this.id, ...this.attributes, capabilities: this.capabilities() }, { retain: true })
    this.state()
    console.log('connected')
  }

  onMessage(payload) {
    let id, op, args
    try {
      const command = JSON.parse(payload)
      ;({ id, op, args = {} } = command.payload ?? command)
      if (typeof id !== 'string' || typeof op !== 'string') throw new TypeError('id and op must be strings')
    } catch (error) {
      return console.log('not a command:', error.message)
    }
    this.lastCommandTs = Date.now()
    this.say('cmd/ack', 'cmd.ack', { id, status: 'received' })
    if (this.answers.has(id)) {
      // Run once; a repeat gets the stored result.
      const known = this.answers.get(id)
      if (known) this.say('cmd/res', ...known)
      return
    }
    this.answers.set(id, null)
    if (this.answers.size > 200) this.answers.delete(this.answers.keys().next().value)
    this.answer(id, op, args)
  }

  async answer(id, op, args) {
    let body
    try {
      body = ['cmd.result', { id, status: 'completed', result: await this.run(op, args) }]
    } catch (error) {
      body = ['cmd.error', { id, status: 'failed', error: { code: error.code ?? 'E_DEVICE', message: error.message } }]
    }
    this.answers.set(id, body)
    this.say('cmd/res', ...body)
  }

  async run(op, args) {
    if (!isObject(args)) throw new CommandError('E_INVALID_ARGS', 'args must be an object')
    if (op === 'batch.execute') return this.batch(args.commands)
    if (!Object.hasOwn(this.tools, op)) throw new CommandError('E_UNKNOWN_OP', `this device has no tool ${op}`)
    return this.tools[op](args)
  }

  async batch(commands) {
    if (!Array.isArray(commands) || commands.length < 1 || commands.length > 32 || !commands.every(isObject)) {
      throw new CommandError('E_INVALID_ARGS', 'args.commands must be a list of 1-32 commands {id, op, args}')
    }
    const results = []
    for (const { id, op, args = {} } of commands) {
      try {
        if (op === 'batch.execute') throw new CommandError('E_INVALID_ARGS', 'a batch cannot stand inside a batch')
        results.push({ command_id: id, status: 'success', result: await this.run(op, args) })
      } catch (error) {
        results.push({ command_id: id, status: 'error', error: { code: error.code ?? 'E_DEVICE', message: error.message } })
      }
    }
    return { results }
  }

  /** Says goodbye, so that the will is not needed. */
  stop() {
    this.client.publish(`${this.base}/lwt`, stamped('lwt', { status: 'offline', reason: 'shutdown' }), { qos: 1, retain: true }, () => this.client.end())
    setTimeout(() => process.exit(0), 2000).unref()
  }
}

/** The device itself: it knows a temperature, and how to read it several times. */
class Sensor {
  temperature() {
    return Math.round((21 + Math.random()) * 100) / 100
  }

  read({ samples = 1 }) {
    if (!Number.isInteger(samples) || samples < 1 || samples > 10) throw new CommandError('E_INVALID_ARGS', 'args.samples must be a whole number from 1 to 10')
    return { temperature_c: Array.from({ length: samples }, () => this.temperature()) }
  }
}

const text = (fallback) => ({ type: 'string', default: fallback })
const { values: options } = parseArgs({
  options: {
    host: text('127.0.0.1'),
    port: text('1883'),
    tenant: text('home'),
    site: text('living'),
    id: text('0200000000ab'),
    username: { type: 'string' },
    password: { type: 'string' },
    ca: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
    'state-every': text('300'),
  },
})
const sensor = new Sensor()
const attributes = { device_type: 'sensor', manufacturer: 'Example', model: 'node-sensor', firmware_version: '1.0.0', mac_address: options.id }
const device = new Device(options, attributes, { 'sensor.read': (args) => sensor.read(args) })
device.event('system.start', { reason: 'power_on' })
setInterval(() => device.telemetry('temperature', sensor.temperature(), 'celsius'), 5000)
setInterval(() => device.state(), Number(options['state-every']) * 1000)
process.on('SIGINT', () => device.stop())
process.on('SIGTERM', () => device.stop())
