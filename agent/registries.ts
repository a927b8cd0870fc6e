import { X509Certificate } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AgentError } from './errors.ts';
import type { CredentialSpec } from './upstream/credentials/source.ts';
import type { RegistryEndpoints } from './upstream/options.ts';

/** A system's whole store is a quarter of this. Bytes. */
const MAX_CA_FILE = 1024 * 1024;

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

interface ConfiguredRegistry {
  readonly endpoints: readonly string[];
  readonly credentials: CredentialSpec | null;
  /** Path of a PEM file. */
  readonly ca: string | null;
}

/**
 * The registries of the configuration as the upstream client takes them: with the certificates themselves.
 * @throws AgentError CA_INVALID, which names the key and the file
 */
export async function readRegistries(
  registries: ReadonlyMap<string, ConfiguredRegistry>,
): Promise<Record<string, RegistryEndpoints>> {
  const read = [...registries].map(async ([name, { endpoints, credentials, ca }]) => {
    const trust = ca === null ? {} : { ca: await readCertificates(ca, `registries[${JSON.stringify(name)}].ca`) };
    return [name, { endpoints, credentials, ...trust }] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

/** The certificates of a PEM file, and nothing else that may stand in it: a private key has no business here. */
async function readCertificates(file: string, key: string): Promise<string> {
  const invalid = (why: string, cause?: unknown) =>
    new AgentError('CA_INVALID', `${key}: ${file} ${why}`, cause === undefined ? {} : { cause });
  let text: string;
  try {
    text = await readBounded(file);
  } catch (cause) {
    throw invalid(`cannot be read: ${(cause as NodeJS.ErrnoException).code ?? 'unknown error'}`, cause);
  }
  if (text.length > MAX_CA_FILE) throw invalid('is too large for a file of certificates');
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw invalid('holds no certificate in PEM (-----BEGIN CERTIFICATE-----)');
  for (const [index, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw invalid(`is damaged: its certificate ${index + 1} is none`, cause);
    }
  }
  return certificates.join('\n');
}

async function readBounded(file: string): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of createReadStream(file, { end: MAX_CA_FILE })) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}
