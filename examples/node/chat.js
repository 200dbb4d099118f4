// Talk in a chat room with mqtt.js 5: what you type is said, what others and the assistant say is printed.
//
//   node chat.js --name Ada --room main

const mqtt = require('mqtt')
const readline = require('readline')
const { randomUUID } = require('crypto')
const { parseArgs } = require('util')

const text = (fallback) => ({ type: 'string', default: fallback })
const { values: options } = parseArgs({ options: { host: text('127.0.0.1'), port: text('1883'), name: text('Ada'), room: text('main') } })
const base = options.room === 'main' ? 'chatroom' : `chatroom/${options.room}`
const me = { client_id: `node-${randomUUID().slice(0, 8)}`, username: options.name }

const client = mqtt.connect({ host: options.host, port: Number(options.port), clientId: me.client_id, keepalive: 60, reconnectPeriod: 2000 })
const send = (tail, body, done) => client.publish(`${base}/${tail}`, JSON.stringify(body), { qos: 1 }, done)

client.on('connect', () => {
  // Joined once the room is heard, so that nothing is missed.
  client.subscribe([`${base}/messages/out`, `${base}/system`], { qos: 1 }, (error) => {
    if (error) return console.log('not let in:', error.message)
    send('users/join', me)
    console.log(`in room ${options.room}; type and press Enter, @AI asks the assistant, an empty line ends`)
  })
})
client.on('error', (error) => console.log('not connected:', error.message))
client.on('message', (_topic, payload) => {
  try {
    const said = JSON.parse(payload)
    console.log(said.content === undefined ? `* ${said.message ?? ''}` : `${said.username}: ${said.content}`)
  } catch {
    console.log(payload.toString())
  }
})

const leave = () => send('users/leave', { client_id: me.client_id }, () => client.end(false, () => process.exit(0)))
const typed = readline.createInterface({ input: process.stdin })
typed.on('line', (line) => (line.trim() ? send('messages/in', { ...me, message: line.trim() }) : leave()))
typed.on('close', leave)
