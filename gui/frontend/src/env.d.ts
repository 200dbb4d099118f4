/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** Whole address of the broker's WebSocket; wins over the parts below. */
  readonly VITE_WS_URL?: string
  readonly VITE_MQTT_BROKER_HOST?: string
  /** TCP port, shown to people who connect other clients. */
  readonly VITE_MQTT_BROKER_PORT?: string
  readonly VITE_MQTT_BROKER_WS_PORT?: string
  readonly VITE_API_BASE_URL?: string
}
