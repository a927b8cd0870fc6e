import { memoryStore } from '../../support/memory-store.ts';
import { storeCompliance } from './compliance.ts';

storeCompliance('the store in memory', async (init) => {
  const store = memoryStore(init);
  return {
    store,
    rot: async (digest, position) => store.rot(digest, position),
    close: async () => {},
  };
});
