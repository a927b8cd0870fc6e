const MIB = 1024 * 1024;
/** No layer is a whole number of chunks. Bytes. */
const ODD = 4_321;

/** A layer's bytes follow from its seed: the same seed and size is the same layer. */
export interface LayerSpec {
  readonly seed: string;
  readonly size: number;
}

/** Layers from the bottom up, as a manifest lists them. */
export type ImageSpec = readonly LayerSpec[];

const layer = (seed: string, mebibytes: number): LayerSpec => ({ seed, size: Math.round(mebibytes * MIB) + ODD });
const image = (seed: string, ...sizes: number[]): ImageSpec => sizes.map((size, at) => layer(`${seed}/${at}`, size));

/** 163 MiB in four layers, the largest 61%, the smallest under 4 MiB. */
export const fleetImage = (seed: string): readonly ImageSpec[] => [image(seed, 40, 100, 3, 20)];

/** 20 MiB in three layers, for a thin uplink. */
export const smallImage = (seed: string): readonly ImageSpec[] => [image(seed, 5, 12, 3)];

/** What agents pull before a row begins; 56 MiB. */
export const warmUpImage = (seed: string): ImageSpec => image(seed, 35, 18, 3);

/** 8.5 MiB in three layers, for many agents on one machine. */
export const tinyImage = (seed: string): readonly ImageSpec[] => [image(seed, 2.5, 5, 1)];

/** Four images of 74 to 84 MiB, 160 MiB in all: a base that all have, a middle that two share, and a top of their own. */
export const sharingImages = (seed: string): readonly ImageSpec[] =>
  [0, 1, 2, 3].map((at) => [
    layer(`${seed}/base`, 40),
    layer(`${seed}/middle${at >> 1}`, 20),
    layer(`${seed}/top${at}`, [14, 18, 22, 24][at] as number),
    layer(`${seed}/small${at}`, 0.5),
  ]);
