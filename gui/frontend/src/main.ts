// Starts the console: language and theme first, then the page, then the connection.
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n } from './i18n'
import { router } from './router'
import { useChatStore } from './stores/chatStore'
import { useConnectionStore } from './stores/connectionStore'
import { useSettingsStore } from './stores/settingsStore'
import './styles/tokens.css'
import './styles/base.css'

async function start(): Promise<void> {
  const app = createApp(App).use(createPinia()).use(i18n).use(router)
  useConnectionStore()
  await useSettingsStore().start()
  app.mount('#app')
  await useChatStore().initializeWebSocket()
}

void start()
