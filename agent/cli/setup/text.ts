import { printable } from '../printable.ts';
import { masked } from './masked.ts';
import { isChanged, type Plan, type PlannedFile } from './plan.ts';
import type { Undone } from './undo.ts';
import type { Written } from './write.ts';

/** What setup would write. */
export function planText(plan: Plan): string {
  const parts = plan.files.map(fileText);
  if (plan.files.some(isChanged)) parts.push(`Nothing was written. --write does, with a backup.${after(plan)}\n`);
  else if (plan.files.length === 0) parts.push('There is nothing to write.\n');
  return parts.join('\n') + notesText(plan);
}

function fileText(file: PlannedFile): string {
  if (!isChanged(file)) return `# ${file.path}: is as it should be\n`;
  const what = file.before === undefined ? 'new' : 'changed';
  const lines = masked(file.content).split('\n').map(lineText).join('\n');
  return `# ${file.path}: ${what}\n${lines.endsWith('\n') ? lines : `${lines}\n`}`;
}

/** A line of a file, fit for a terminal: but for its tabs, what moves the cursor is not shown. */
function lineText(line: string): string {
  return line.replace(/\r$/, '').split('\t').map(printable).join('\t');
}

/** What setup has written. */
export function writtenText(plan: Plan, written: readonly Written[], undoCommand: string): string {
  if (written.length === 0) return `Nothing had to be written.\n${notesText(plan)}`;
  const lines = written.map(({ path, backup, existed }) =>
    existed ? `${path}: changed; as it was: ${backup}\n` : `${path}: new\n`,
  );
  return `${lines.join('')}\nTo take this back: ${undoCommand}.${after(plan)}\n${notesText(plan)}`;
}

/** What was taken back. */
export function undoneText(undone: readonly Undone[]): string {
  return undone
    .map(({ path, existed, kept }) => {
      const since = kept === undefined ? '' : `; it had been changed since, and that lies in ${kept}`;
      return `${path}: ${existed ? 'is as it was' : 'removed'}${since}\n`;
    })
    .join('');
}

function after({ restart }: Plan): string {
  return restart === undefined ? ' It counts from the next pull on.' : ` It counts after: ${restart}`;
}

function notesText({ notes }: Plan): string {
  return notes.map((note) => `Note: ${note}.\n`).join('');
}
