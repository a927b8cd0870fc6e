import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { type ConfigOptions, configOf } from '../options.ts';
import type { Terminal } from '../terminal.ts';
import { stampOf } from './backup.ts';
import { findVersion, parseVersion } from './client-version.ts';
import { diskTree } from './disk-tree.ts';
import type { Client } from './plan.ts';
import { foldersOf, planFor } from './plans.ts';
import { planText, undoneText, writtenText } from './text.ts';
import { undo } from './undo.ts';
import { wantedOf } from './wanted.ts';
import { writePlan } from './write.ts';

export interface SetupOptions extends ConfigOptions {
  /** @default those of the configuration */
  readonly registry?: readonly string[];
  readonly clientVersion?: string;
  /** Where the client's files lie, in place of `/`. */
  readonly root?: string;
  readonly write?: boolean;
  readonly undo?: boolean;
}

/**
 * `layerlan setup CLIENT`: prints the client's configuration, writes it, or takes back what was written.
 * @throws AgentError CONFIG_…, SETUP_REFUSED, SETUP_UNWRITABLE
 */
export async function setup(client: Client, options: SetupOptions, terminal: Terminal): Promise<void> {
  const root = resolve(options.root ?? '/');
  const tree = diskTree(root);
  const stamp = stampOf(new Date());
  const home = homeFor(options.root);
  if (options.undo === true) {
    return await terminal.out(undoneText(undo(foldersOf(client, home, tree), root, tree, stamp)));
  }
  const wanted = wantedOf(configOf(options), options.registry);
  const plan = planFor(client, { ...wanted, version: await versionOf(client, options, terminal), home }, tree);
  if (options.write !== true) return await terminal.out(planText(plan));
  const written = writePlan(plan.files, root, stamp);
  const where = options.root === undefined ? '' : ` --root ${options.root}`;
  await terminal.out(writtenText(plan, written, `layerlan setup ${client} --undo${where}`));
}

/** Where podman is run by somebody else than root, that user's files are meant; another tree has no user. */
export function homeFor(root: string | undefined): string | undefined {
  return root === undefined && process.getuid?.() !== 0 ? homedir() : undefined;
}

/** In another tree another version may be installed than on this host: nobody is asked. */
async function versionOf(client: Client, { clientVersion, root }: SetupOptions, terminal: Terminal) {
  if (clientVersion !== undefined) return parseVersion(clientVersion);
  return root === undefined ? await findVersion(client, terminal.env) : undefined;
}
