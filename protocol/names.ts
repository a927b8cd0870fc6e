/** Long-lived streams of small messages: who holds what. */
export const CONTROL_PROTOCOL = '/layerlan/control/1.0.0';

/** Streams that carry chunk bodies. */
export const CHUNKS_PROTOCOL = '/layerlan/chunks/1.0.0';

/** Streams on which a lane for chunk bodies is agreed. */
export const BULK_PROTOCOL = '/layerlan/bulk/1.0.0';

/** The agents' own DHT: never the public one. */
export const KAD_PROTOCOL = '/layerlan/kad/1.0.0';

/** The service agents announce and look for by mDNS; a network key changes it (see docs/protocol.md). */
export const MDNS_SERVICE = '_layerlan._udp.local';
