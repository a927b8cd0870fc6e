import { storeCompliance } from './compliance.ts';
import { flip, place } from './support.ts';

// Twice: where nothing is due and reads are fast, and where every read is checked.
for (const [name, init] of [
  ['the store on disk', {}],
  ['the store on disk, always rechecking', { recheck: 0 }],
] as const) {
  storeCompliance(name, async (more) => {
    const at = await place();
    return {
      store: await at.open({ ...init, ...more }),
      rot: (digest, position) => flip(at.path, digest, position),
      close: () => at.leave(),
    };
  });
}
