import { Argument, Command, CommanderError, Option } from 'commander';
import { VERSION } from '../version.ts';
import { type DoctorOptions, doctor } from './doctor/doctor.ts';
import { exportImage } from './export.ts';
import { failureOf, USAGE } from './failure.ts';
import { type GcOptions, gc } from './gc.ts';
import { type ImportOptions, importLayout } from './import.ts';
import { key } from './key.ts';
import { type LsOptions, ls } from './ls.ts';
import { peers } from './peers.ts';
import { pin, unpin } from './pin.ts';
import { type PullOptions, pull } from './pull.ts';
import { refresh } from './refresh.ts';
import { rm } from './rm.ts';
import { CLIENTS, type Client } from './setup/plan.ts';
import { type SetupOptions, setup } from './setup/setup.ts';
import { type StartOptions, start } from './start.ts';
import { type QueryOptions, status } from './status.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { type VerifyOptions, verify } from './verify.ts';

/** What names an image, beside `app@sha256:…`. */
const IMAGE = 'as docker names it: alpine, owner/app:v1, registry.lan:5000/app@sha256:…';

/**
 * Runs one command.
 * @param args what came after the program's name
 * @returns the exit code; never throws
 */
export async function main(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  let exit = 0;
  const program = createProgram(terminal, (code) => {
    exit = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exit;
  } catch (error) {
    // Commander has said what was wrong by then; help and version end this way too.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    const failure = failureOf(error);
    await terminal.err(failure.line);
    return failure.exit;
  }
}

function createProgram(terminal: Terminal, exitWith: (code: number) => void): Command {
  const program = new Command('layerlan')
    .description('Hands container image layers around a LAN: a registry mirror whose peers are the other hosts.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.out(text),
      writeErr: (text) => void terminal.err(text),
      outputError: (text, put) => put(text.replace(/^error: /, 'layerlan: ')),
    });

  withConfig(program.command('start'))
    .description('run the agent in the foreground, until SIGTERM or SIGINT')
    .option('--log-level <level>', 'silent, fatal, error, warn, info, debug or trace (or LAYERLAN_LOG_LEVEL)')
    .action(async (options: StartOptions) => exitWith(await start(options, terminal)));
  withConfig(program.command('status'))
    .description('what the running agent holds, and what the uplink was spared')
    .option('--json', 'as JSON')
    .action((options: QueryOptions) => status(options, terminal));
  withConfig(program.command('peers'))
    .description('who the running agent knows')
    .option('--json', 'as JSON')
    .action((options: QueryOptions) => peers(options, terminal));
  withConfig(program.command('refresh'))
    .description('have the running agent look now at what a tag is upstream')
    .argument('<image>', 'as docker names it: alpine, owner/app:v1, registry.lan:5000/app:v1')
    .option('--json', 'as JSON')
    .action((image: string, options: QueryOptions) => refresh(image, options, terminal));
  withConfig(program.command('pull'))
    .description('have the running agent take an image into its store')
    .argument('<image>', 'as docker names it, also by digest: alpine, owner/app:v1, alpine@sha256:…')
    .option('--platform <platform>', 'linux/arm64, linux/arm/v7, or all (default: this machine’s)')
    .option('--json', 'progress and result as JSON lines')
    .action((image: string, options: PullOptions) => pull(image, options, terminal));
  withConfig(program.command('export'))
    .description('write an image, as the running agent gives it, into an OCI image layout')
    .argument('<image>', 'as for pull')
    .argument('<dir>', 'new, empty, or an OCI layout to which the image is added')
    .option('--platform <platform>', 'linux/arm64, linux/arm/v7, or all (default: this machine’s)')
    .option('--json', 'as JSON')
    .action((image: string, dir: string, options: PullOptions) => exportImage(image, dir, options, terminal));
  withConfig(program.command('import'))
    .description('give the images of an OCI image layout to the running agent, by their names')
    .argument('<dir>', 'the layout')
    .option('--name <image>', 'the name of the one image that the layout lists')
    .option('--share', 'let peers have what comes in (default: what is imported stays on this host)')
    .option('--json', 'a line of JSON for each image')
    .action((dir: string, options: ImportOptions) => importLayout(dir, options, terminal));
  withConfig(program.command('ls'))
    .description('the images that the running agent holds, or parts of')
    .option('--blobs', 'the blobs, not the images')
    .option('--json', 'as JSON lines')
    .action((options: LsOptions) => ls(options, terminal));
  withConfig(program.command('pin'))
    .description('keep an image from eviction: what is held of it, and what comes')
    .argument('<image>', IMAGE)
    .option('--json', 'as JSON')
    .action((image: string, options: QueryOptions) => pin(image, options, terminal));
  withConfig(program.command('unpin'))
    .description('let an image be evicted again')
    .argument('<image>', 'as it was pinned')
    .option('--json', 'as JSON')
    .action((image: string, options: QueryOptions) => unpin(image, options, terminal));
  withConfig(program.command('rm'))
    .description('remove what no other image is made of, or one blob')
    .argument('<image>', `${IMAGE}; a digest alone: that blob`)
    .option('--json', 'as JSON lines')
    .action((image: string, options: QueryOptions) => rm(image, options, terminal));
  withConfig(program.command('gc'))
    .description('let go of what was half fetched a day ago, and of what was used longest ago')
    .option('--dry-run', 'only say what would go')
    .option('--to <size>', 'until the store takes so much of the disk: 10GiB (default: what its bounds allow)')
    .option('--json', 'as JSON lines')
    .action((options: GcOptions) => gc(options, terminal));
  withConfig(program.command('verify'))
    .description('check what is held and was last checked a week ago, or was touched; exits 1 where anything is rotten')
    .option('--all', 'check everything')
    .option('--json', 'as JSON lines')
    .action(async (options: VerifyOptions) => exitWith(await verify(options, terminal)));
  withConfig(program.command('setup'))
    .description('the configuration that points a client at the mirror: printed, or written with --write')
    .addArgument(new Argument('<client>', 'whose').choices(CLIENTS))
    .option('--registry <name>', 'a registry to mirror (default: those of the configuration); repeatable', collect)
    .option('--client-version <version>', 'the client’s version (default: the installed one)')
    .option('--root <dir>', 'where the client’s files lie (default: /)')
    .option('--write', 'write it, each file with a backup beside it')
    .addOption(new Option('--undo', 'take back what was last written').conflicts('write'))
    .action((client: Client, options: SetupOptions) => setup(client, options, terminal));
  withConfig(program.command('doctor'))
    .description('looks for what is wrong on this host, and says what to do')
    .option('--json', 'as JSON')
    .option('--root <dir>', 'where the clients’ files lie (default: /)')
    .action(async (options: DoctorOptions) => exitWith(await doctor(options, terminal)));
  program
    .command('key')
    .description('make a network key for a fleet; agents that lack it cannot finish the handshake')
    .argument('<file>', 'where to write it; an existing file is left alone')
    .action((file: string) => key(file, terminal));
  return program;
}

function withConfig(command: Command): Command {
  return command
    .option('--config <file>', 'the configuration file (default: /etc/layerlan/layerlan.yaml as root)')
    .option('--set <key.path=value>', 'set one key over the file; repeatable', collect);
}

function collect(value: string, values: string[] | undefined): string[] {
  return [...(values ?? []), value];
}
