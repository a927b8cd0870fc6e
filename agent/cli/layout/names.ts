import { AgentError } from '../../errors.ts';
import type { LayoutEntry } from '../../oci/image-layout.ts';
import { type ImageReference, imageReferenceText, parseImageReference } from '../../oci/image-reference.ts';
import { printable } from '../printable.ts';

/** An image of a layout, and the name that it comes in by. */
export interface NamedEntry extends LayoutEntry {
  readonly image: ImageReference;
}

/** By which name each image of a layout comes in. @throws AgentError LAYOUT_INVALID, IMAGE_INVALID */
export function named(
  entries: readonly LayoutEntry[],
  name: ImageReference | undefined,
  directory: string,
): NamedEntry[] {
  if (entries.length === 0) throw new AgentError('LAYOUT_INVALID', `${directory} lists no image`);
  if (name !== undefined && entries.length > 1) {
    throw new AgentError('LAYOUT_INVALID', `${directory} lists ${entries.length} images, which --name cannot all name`);
  }
  return entries.map((entry) => {
    const image = name ?? nameOf(entry, directory);
    if (image.digest === undefined || image.digest === entry.digest) return { ...entry, image };
    throw new AgentError(
      'LAYOUT_INVALID',
      `${directory} has ${entry.digest}, which is not ${imageReferenceText(image)}`,
    );
  });
}

function nameOf({ fullName, refName, digest }: LayoutEntry, directory: string): ImageReference {
  // A tag alone does not say of what.
  const whole = fullName ?? (/^(localhost|[^/]*[.:][^/]*)\/./.test(refName ?? '') ? refName : undefined);
  if (whole !== undefined) return parseImageReference(whole);
  const shown = refName === undefined ? 'no name' : `only the name ${JSON.stringify(printable(refName).slice(0, 100))}`;
  throw new AgentError('LAYOUT_INVALID', `${directory} has ${shown} for ${digest}; give it one with --name IMAGE`);
}
