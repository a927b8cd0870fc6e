import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where the lab lives while it runs; made and removed by test/lan/run. Short: it holds unix sockets. */
export const LAB_DIR = process.env.LAYERLAN_LAN_DIR ?? '/var/tmp/layerlan-lan';

/** What is kept between runs. */
export const CACHE_DIR = process.env.LAYERLAN_LAN_CACHE ?? '/var/cache/layerlan-lan';

/** What the upstream registry serves. */
export const REGISTRY_DIR = join(LAB_DIR, 'registry');

/** Namespaces of the lab begin with this: test/lan/run removes them by it. Another lab beside it needs another. */
export const PREFIX = process.env.LAYERLAN_LAN_PREFIX ?? 'll-';

const go = process.env.LAYERLAN_LAN_GO ?? join(CACHE_DIR, 'go');

/** Where containerd 2.4 and crane are, which test/lan/run builds; undefined where there is no Go to do so. */
export const GO = existsSync(join(go, 'crane')) ? go : undefined;
