import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A key and a certificate, good from yesterday to tomorrow unless said otherwise: made anew in each test, so that none expires. */
export interface Certified {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly cert: string;
}

/** A certificate authority of a test's own. */
export interface Authority {
  /** Its own certificate, PEM. */
  readonly cert: string;
  /** @param hosts names and IPv4 addresses */
  issue(...hosts: string[]): Certified;
  /** One that ended an hour ago. */
  issueExpired(...hosts: string[]): Certified;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** ASN.1, in DER (X.690). */
const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BITS = 0x03;
const OCTETS = 0x04;
const OBJECT_ID = 0x06;
const UTF8 = 0x0c;
const TIME = 0x17;
const TRUE = Buffer.from([0x01, 0x01, 0xff]);

/** An X.509 version 3 authority with a P-256 key (RFC 5280). */
export function createAuthority(name = 'layerlan test CA'): Authority {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const isAuthority = extension([2, 5, 29, 19], der(SEQUENCE, TRUE));
  const issue = (hosts: readonly string[], end: number): Certified => {
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const names = hosts.map((host) =>
      isIP(host) === 4 ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
    );
    const subjects = extension([2, 5, 29, 17], der(SEQUENCE, ...names));
    return {
      key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: certificate(hosts[0] ?? '', own.publicKey, name, keys.privateKey, subjects, end),
    };
  };
  return {
    cert: certificate(name, keys.publicKey, name, keys.privateKey, isAuthority, Date.now() + DAY),
    issue: (...hosts) => issue(hosts, Date.now() + DAY),
    issueExpired: (...hosts) => issue(hosts, Date.now() - HOUR),
  };
}

function certificate(
  subject: string,
  key: KeyObject,
  issuer: string,
  signer: KeyObject,
  extensions: Buffer,
  end: number,
): string {
  const ecdsaWithSha256 = der(SEQUENCE, objectId(1, 2, 840, 10045, 4, 3, 2));
  const now = Date.now();
  const content = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.from([2]))),
    der(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(issuer),
    der(SEQUENCE, time(now - DAY), time(end)),
    commonName(subject),
    key.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, extensions)),
  );
  const signature = der(BITS, Buffer.from([0]), sign('sha256', content, signer));
  const base64 = der(SEQUENCE, content, ecdsaWithSha256, signature).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function commonName(text: string): Buffer {
  return der(SEQUENCE, der(SET, der(SEQUENCE, objectId(2, 5, 4, 3), der(UTF8, Buffer.from(text)))));
}

/** YYMMDDhhmmssZ */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(TIME, Buffer.from(`${digits}Z`));
}

function extension(id: Parameters<typeof objectId>, content: Buffer): Buffer {
  return der(SEQUENCE, objectId(...id), der(OCTETS, content));
}

function objectId(first: number, second: number, ...rest: number[]): Buffer {
  const bytes = rest.flatMap((part) => {
    const digits = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return der(OBJECT_ID, Buffer.from([first * 40 + second, ...bytes]));
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}
