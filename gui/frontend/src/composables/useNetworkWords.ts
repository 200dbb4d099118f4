// The words for a network's devices and links: the same in the picture, in the list and for screen readers.
import { useI18n } from 'vue-i18n'
import { mediumOf, nameOf, qualityOf, sourcesOf } from '@/services/network'
import type { NetLink, NetNode } from '@/types/api'
import { useFormat } from './useFormat'

export function useNetworkWords() {
  const { t } = useI18n()
  const format = useFormat()

  const kind = (node: NetNode) => (node.device_type && node.device_type !== 'unknown' ? format.word('deviceType', node.device_type) : node.role ? format.word('deviceType', node.role) : '')
  const band = (word: string) => word.replace(/^([\d.]+)\s*GHz$/i, '$1 GHz')
  const medium = (link: NetLink) => (mediumOf(link) === 'unknown' ? (link.kind ?? '') : t(`topology.${mediumOf(link)}`))
  const quality = (link: NetLink) => (qualityOf(link) === 'unknown' ? '' : t(`topology.quality.${qualityOf(link)}`))

  /** Figures of a link: band, rate, signal. */
  function figures(link: NetLink): string {
    return [
      link.band ? band(link.band) : '',
      typeof link.rate_mbps === 'number' && link.rate_mbps > 0 ? `${format.number(link.rate_mbps)} Mbps` : '',
      typeof link.rssi_dbm === 'number' ? `${format.number(link.rssi_dbm)} dBm` : '',
    ]
      .filter(Boolean)
      .join(' · ')
  }

  const whole = (link: NetLink) => [medium(link), figures(link), quality(link)].filter(Boolean).join(' · ')
  const presence = (node: NetNode) => (node.online === true ? t('device.online') : node.online === false ? t('device.offline') : '')

  /** Everything that the picture shows of a device, as a sentence. */
  function sentence(node: NetNode, link: NetLink | null, up: string, clients: number, source: (id: string) => string): string {
    const told = sourcesOf(node).filter((id) => id !== node.device_id)
    return [
      [nameOf(node), kind(node), presence(node), node.known && node.health && node.health !== 'ok' && node.health !== 'unknown' ? format.word('health', node.health) : ''].filter(Boolean).join(t('topology.comma')),
      link && up ? t('topology.hangsOn', { up, link: whole(link) }) : '',
      clients ? t('topology.clients', { n: clients }, clients) : '',
      told.length ? t('topology.saidBy', { who: told.map(source).join(t('topology.comma')) }) : '',
    ]
      .filter(Boolean)
      .join(t('topology.stop'))
  }

  return { kind, medium, quality, figures, whole, presence, sentence }
}
