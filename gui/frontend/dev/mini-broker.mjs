// A very small MQTT broker over WebSocket, for developing the console without a server: QoS 0 and 1, retained messages, no sessions.
import { createServer } from 'node:http'
import mqttPacket from 'mqtt-packet'
import { WebSocketServer, createWebSocketStream } from 'ws'

function matches(filter, topic) {
  const want = filter.split('/')
  const have = topic.split('/')
  for (let i = 0; i < want.length; i++) {
    if (want[i] === '#') return true
    if (i >= have.length || (want[i] !== '+' && want[i] !== have[i])) return false
  }
  return want.length === have.length
}

/** Listens on `port`; `onPublish(topic, payload, clientId)` hears what clients say. */
export function miniBroker(port, onPublish) {
  const clients = new Set()
  const retained = new Map()
  const http = createServer()
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => 'mqtt' })

  function deliver(client, topic, payload) {
    const qos = client.filters.some((filter) => matches(filter, topic)) ? 1 : -1
    if (qos < 0) return
    client.messageId = (client.messageId % 65_535) + 1
    client.send({ cmd: 'publish', topic, payload, qos, messageId: client.messageId, retain: false, dup: false })
  }

  function publish(topic, value, retain = false) {
    const payload = JSON.stringify(value)
    if (retain) retained.set(topic, payload)
    for (const client of clients) deliver(client, topic, payload)
  }

  sockets.on('connection', (socket) => {
    const stream = createWebSocketStream(socket)
    stream.on('error', () => socket.terminate())
    const client = { filters: [], messageId: 0, id: '', version: 5 }
    client.send = (packet) => socket.readyState === 1 && socket.send(mqttPacket.generate(packet, { protocolVersion: client.version }))
    const parser = mqttPacket.parser()
    stream.on('data', (data) => parser.parse(data))
    socket.on('close', () => clients.delete(client))
    parser.on('packet', (packet) => {
      switch (packet.cmd) {
        case 'connect':
          Object.assign(client, { id: packet.clientId, version: packet.protocolVersion })
          clients.add(client)
          client.send({ cmd: 'connack', reasonCode: 0, returnCode: 0, sessionPresent: false })
          break
        case 'subscribe':
          client.filters.push(...packet.subscriptions.map((one) => one.topic))
          client.send({ cmd: 'suback', messageId: packet.messageId, granted: packet.subscriptions.map(() => 1) })
          for (const [topic, payload] of retained) deliver(client, topic, payload)
          break
        case 'publish':
          if (packet.qos === 1) client.send({ cmd: 'puback', messageId: packet.messageId, reasonCode: 0 })
          onPublish(packet.topic, JSON.parse(packet.payload.toString()), client.id)
          break
        case 'pingreq':
          client.send({ cmd: 'pingresp' })
          break
        case 'disconnect':
          socket.close()
      }
    })
  })
  http.listen(port, '127.0.0.1')
  return {
    publish,
    /** Cuts every connection and refuses new ones for a while. */
    outage(ms) {
      for (const socket of sockets.clients) socket.terminate()
      http.close()
      setTimeout(() => http.listen(port, '127.0.0.1'), ms)
    },
  }
}
