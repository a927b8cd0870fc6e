/** The version in package.json; a constant, so that no file beside a bundle is read. A test keeps the two the same. */
export const VERSION = '0.1.0';

/** The oldest major version of Node that runs the agent; `engines` in package.json says the same. */
export const OLDEST_NODE = 24;
