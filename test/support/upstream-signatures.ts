import { randomBytes } from 'node:crypto';

/** How a store of blobs signs the addresses it gives out: Amazon's S3 and those like it, or Azure's Blob Storage. */
export type SignatureStyle = 's3' | 'azure';

/** What was signed, and whether it still counts. */
export interface Signatures {
  /** The query of a signed address. */
  sign(): string;
  isGood(query: URLSearchParams): boolean;
  /** Whatever was signed so far counts no more. */
  expire(): void;
  /** The secret part of every query so far, whether it still counts or not. */
  readonly given: readonly string[];
}

const PARAMETER: Readonly<Record<SignatureStyle, string>> = { s3: 'X-Amz-Signature', azure: 'sig' };

export function createSignatures(style: SignatureStyle): Signatures {
  const good = new Set<string>();
  const given: string[] = [];
  return {
    sign() {
      // S3's are in hex, Azure's in base64, with signs that look different in a URL.
      const signature =
        style === 's3' ? randomBytes(32).toString('hex') : `+/${randomBytes(31).toString('base64').slice(2)}`;
      good.add(signature);
      given.push(signature);
      return new URLSearchParams({ ...termsOf(style), [PARAMETER[style]]: signature }).toString();
    },
    isGood: (query) => good.has(query.get(PARAMETER[style]) ?? ''),
    expire: () => good.clear(),
    given,
  };
}

/** What stands beside the signature, as those stores write it. */
function termsOf(style: SignatureStyle): Record<string, string> {
  return style === 's3'
    ? {
        'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
        'X-Amz-Credential': 'AKIAEXAMPLE/20261101/us-east-1/s3/aws4_request',
        'X-Amz-Date': '20261101T120000Z',
        'X-Amz-Expires': '1200',
        'X-Amz-SignedHeaders': 'host',
      }
    : { sv: '2025-01-05', se: '2026-11-01T12:20:00Z', sr: 'b', sp: 'r' };
}
