import { memoryTags } from '../../../support/memory-tags.ts';
import { BOUNDS, recordsComply } from './compliance.ts';

recordsComply(async () => ({ records: memoryTags(BOUNDS), close: async () => {} }));
