import type { Logger } from 'pino';
import type { Metrics } from '../observe/metrics.ts';
import type { Neighbours } from './neighbours.ts';
import type { Offence } from './ports.ts';
import type { Reputation } from './reputation.ts';

/** What follows from an offence: it is counted, told and, where it bans, the peer is shut out. */
export interface Strikes {
  /** See agent/fetch/ports.ts. */
  strike(peer: string, offence: Offence): void;
  isBanned(peer: string): boolean;
}

export interface StrikesComponents {
  readonly reputation: Reputation;
  readonly neighbours: Pick<Neighbours, 'addressOf' | 'disconnect'>;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'strikes' | 'bans'>;
  /** Told after every offence, for whoever keeps them. */
  onStrike(): void;
}

export function createStrikes(components: StrikesComponents): Strikes {
  const { reputation, neighbours, logger, metrics, onStrike } = components;
  return {
    strike(peer, offence) {
      const wasBanned = reputation.isPeerBanned(peer);
      const address = neighbours.addressOf(peer);
      metrics.strikes.inc({ offence });
      const isBanned = reputation.strike(peer, address, offence);
      onStrike();
      logger.debug({ peer, address, offence }, 'strike');
      if (!isBanned) return;
      if (!wasBanned) {
        metrics.bans.inc();
        logger.warn({ peer, address, offence }, 'peer banned');
      }
      neighbours.disconnect(peer, offence === 'lied' ? address : undefined);
    },
    isBanned(peer) {
      const address = neighbours.addressOf(peer);
      return reputation.isPeerBanned(peer) || (address !== undefined && reputation.isAddressBanned(address));
    },
  };
}
