import { memoryStandings } from '../../../support/memory-standings.ts';
import { BOUND, standingsComply } from './compliance.ts';

standingsComply(async () => ({ records: memoryStandings(BOUND), close: async () => {} }));
