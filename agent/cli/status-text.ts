import type { AgentStatus } from '../observe/status.ts';
import { printable, withoutPeer } from './printable.ts';
import { shareText, sizeText, spanText } from './units.ts';

const LABEL_WIDTH = 15;
const SIZE_WIDTH = 9;
const SHARE_WIDTH = 6;

/** What `layerlan status` shows: at most 80 columns, but for what somebody named longer. */
export function statusText(status: AgentStatus): string {
  const { traffic, swarm, store } = status;
  const { clientBytes } = traffic;
  const toClients = clientBytes.store + clientBytes.peer + clientBytes.upstream;
  const source = (name: string, bytes: number) =>
    line(`  ${name}`, sizeText(bytes).padStart(SIZE_WIDTH), shareText(bytes, toClients).padStart(SHARE_WIDTH));
  return [
    `layerlan ${printable(status.version)}, up ${spanText(status.uptimeSeconds)}`,
    '',
    ...list('mirror', [
      ...status.mirror.addresses.map((address) => `http://${address}`),
      ...status.mirror.awaited.map((address) => `${address} is not there yet`),
    ]),
    line('peer id', printable(status.peerId)),
    ...list('peers at', swarm.addresses.map(withoutPeer)),
    line('neighbours', `${swarm.neighbours} connected, ${swarm.networkKey ? 'network key set' : 'no network key'}`),
    line('mDNS', mdnsText(swarm.mdns)),
    line('store', printable(store.path)),
    line('', blobsText(store)),
    line('', `${sizeText(store.used)} of ${sizeText(store.bound)} used`),
    ...storeTrouble(store),
    ...alsoLines(store.also),
    '',
    line('to clients', sizeText(toClients).padStart(SIZE_WIDTH)),
    source('store', clientBytes.store),
    source('peers', clientBytes.peer),
    source('upstream', clientBytes.upstream),
    line('to peers', sizeText(traffic.servedBytes).padStart(SIZE_WIDTH)),
    line('from peers', sizeText(traffic.peerBytes).padStart(SIZE_WIDTH)),
    line('from upstream', sizeText(traffic.upstreamBytes).padStart(SIZE_WIDTH)),
    '',
    line('uplink spared', sizeText(traffic.sparedBytes).padStart(SIZE_WIDTH)),
    ...rateLimitLines(status.rateLimits),
    ...limitLines(status.limits),
    '',
  ].join('\n');
}

/** Nothing where things can be stored. */
function storeTrouble({ state, since, reason }: AgentStatus['store']): string[] {
  if (state === 'ok') return [];
  return list('', [`${state} since ${since}`, ...(reason === null ? [] : [reason])]);
}

function blobsText({ blobs, bytes }: { readonly blobs: number; readonly bytes: number }): string {
  return `${blobs} ${blobs === 1 ? 'blob' : 'blobs'}, ${sizeText(bytes)}`;
}

/** Only where the configuration names something else on the host. */
function alsoLines(also: AgentStatus['store']['also']): string[] {
  if (also === undefined) return [];
  const waiting = also.waiting === 0 ? '' : `, ${also.waiting} to be hashed`;
  return [line('held elsewhere', `${blobsText(also)}${waiting}`)];
}

/** Docker Hub's, as a rule: other registries say nothing. */
function rateLimitLines(rates: AgentStatus['rateLimits']): string[] {
  const said = rates.map(({ registry, limit, remaining, window }) => {
    const rate = `${remaining} of ${limit} pulls left`;
    return `${registry}, ${rate}${window === null ? '' : ` in ${spanText(window)}`}`;
  });
  return said.length === 0 ? [] : ['', ...list('rate limits', said)];
}

/** Only what is set: most agents have none. */
function limitLines({ peerUpload, peerDownload, upstream }: AgentStatus['limits']): string[] {
  const named = [
    ['to peers', peerUpload],
    ['from peers', peerDownload],
    ['from upstream', upstream],
  ] as const;
  const set = named.flatMap(([name, limit]) => {
    if (limit === null) return [];
    return [limit.rate === null ? `${name}, not at this hour` : `${name} ${sizeText(limit.rate)}/s`];
  });
  return set.length === 0 ? [] : ['', ...list('limits', set)];
}

function mdnsText({ enabled, healthy, reason }: AgentStatus['swarm']['mdns']): string {
  if (!enabled) return 'off';
  if (healthy) return 'on';
  return `not working${reason === undefined ? '' : `: ${printable(reason)}`}`;
}

function list(label: string, values: readonly string[]): string[] {
  if (values.length === 0) return [line(label, '–')];
  return values.map((value, index) => line(index === 0 ? label : '', printable(value)));
}

function line(label: string, ...values: string[]): string {
  return `${label.padEnd(LABEL_WIDTH)}${values.join(' ')}`;
}
