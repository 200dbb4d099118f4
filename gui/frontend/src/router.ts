// The pages by address. Chat comes with the start; the others when opened.
import { createRouter, createWebHistory } from 'vue-router'
import ChatView from './views/ChatView.vue'

/** The pages of the side bar, in order. */
export const PAGES = ['chat', 'devices', 'topology', 'sessions', 'changes', 'audit', 'system'] as const
export type PageName = (typeof PAGES)[number]

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'chat', component: ChatView, meta: { page: 'chat' } },
    { path: '/devices', name: 'devices', component: () => import('./views/DevicesView.vue'), meta: { page: 'devices' } },
    { path: '/devices/:tenant/:site/:deviceId', name: 'device', component: () => import('./views/DeviceView.vue'), props: true, meta: { page: 'devices' } },
    { path: '/topology', name: 'topology', component: () => import('./views/TopologyView.vue'), meta: { page: 'topology' } },
    { path: '/sessions', name: 'sessions', component: () => import('./views/SessionsView.vue'), meta: { page: 'sessions' } },
    { path: '/sessions/:id', name: 'session', component: () => import('./views/SessionView.vue'), props: true, meta: { page: 'sessions' } },
    { path: '/changes', name: 'changes', component: () => import('./views/ChangesView.vue'), meta: { page: 'changes' } },
    { path: '/changes/:id', name: 'change', component: () => import('./views/ChangeView.vue'), props: true, meta: { page: 'changes' } },
    { path: '/audit', name: 'audit', component: () => import('./views/AuditView.vue'), meta: { page: 'audit' } },
    { path: '/system', name: 'system', component: () => import('./views/SystemView.vue'), meta: { page: 'system' } },
    { path: '/:rest(.*)*', name: 'missing', component: () => import('./views/MissingView.vue'), meta: { page: 'chat' } },
  ],
})
