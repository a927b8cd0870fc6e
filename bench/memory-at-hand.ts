import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

const MIB = 1024 ** 2;

/**
 * So much is written to beside what is about to be: what was freed last is not what the kernel hands out first. With none,
 * five takers spent two thirds of their writing on pages that the host had to find. Bytes.
 */
const BESIDES = 1536 * MIB;

/**
 * Fills a file where the stores are and removes it, so that the machine has as much memory at hand. Where the host of a
 * virtual machine takes back what is free, a page costs ten times what writing to it does when it is used again; which
 * run had to pay for that would be chance.
 * @param directory where that is @param bytes what is about to be written
 */
export async function haveMemory(directory: string, bytes: number): Promise<void> {
  const path = join(directory, 'memory');
  const file = await open(path, 'w');
  try {
    const piece = Buffer.alloc(MIB);
    for (let at = 0; at < bytes + BESIDES; at += MIB) await file.write(piece, 0, MIB, at);
  } finally {
    await file.close();
    await rm(path);
  }
}
