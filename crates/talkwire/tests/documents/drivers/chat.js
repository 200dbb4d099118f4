// Follows the printed chat class in one file: connects to the port given, speaks once it has subscribed.
const driven = new ChatRoomMQTTClient('driven_node_001', '测试员', '127.0.0.1', Number(process.argv[2]))
let spoken = false
driven.client.on('packetreceive', (packet) => {
  if (packet.cmd !== 'suback' || spoken) return
  spoken = true
  driven.sendMessage('你好，世界 🌏')
  driven.sendMessage('@AI 你好')
})
