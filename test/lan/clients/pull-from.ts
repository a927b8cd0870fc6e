import assert from 'node:assert/strict';
import type { Image } from '../image.ts';
import { type Client, type ImageName, nameText } from './client.ts';

/** What an image of the lab is called at a registry. */
export function imageName(registry: string, image: Image): ImageName {
  const [repository, tag] = image.reference.split(':') as [string, string];
  return { registry, repository: `library/${repository}`, tag };
}

/** A pull that has to succeed, with the right image at its end. */
export async function pullFrom(client: Client, registry: string, image: Image): Promise<void> {
  const name = imageName(registry, image);
  const { code, stdout, stderr } = await client.pull(name);
  assert.equal(code, 0, `${nameText(name)}: ${stderr}\n${stdout}`);
  assert.equal(await client.imageId(name), image.id);
}
