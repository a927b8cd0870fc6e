import type { Case } from './case.ts';
import { baseCases } from './cases/base.ts';
import { behindCases } from './cases/behind.ts';
import { blobCases } from './cases/blobs.ts';
import { crowdCases } from './cases/crowd.ts';
import { fetchingCases } from './cases/fetching.ts';
import { manifestCases } from './cases/manifests.ts';
import { rangeCases } from './cases/ranges.ts';
import { referrerCases } from './cases/referrers.ts';
import { refusalCases } from './cases/refusals.ts';
import { tagCases } from './cases/tags.ts';

/** The whole suite. */
export const CASES: readonly Case[] = [
  ...baseCases,
  ...manifestCases,
  ...blobCases,
  ...rangeCases,
  ...fetchingCases,
  ...tagCases,
  ...referrerCases,
  ...refusalCases,
  ...behindCases,
  ...crowdCases,
];
