// What the command palette offers. In: the page and the trace shown. Out: commands with a name and what they do; a filter by words.

export interface Command {
  name: string;
  hint?: string;
  keys?: string;
  run: () => void;
}

/** Commands in whose names all words stand, those that begin with the text first. */
export function filterCommands(commands: readonly Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = commands.filter(({ name, hint }) => words.every((word) => `${name} ${hint ?? ''}`.toLowerCase().includes(word)));
  const begins = (command: Command) => (command.name.toLowerCase().startsWith(words.join(' ')) ? 0 : 1);
  return words.length === 0 ? [...fits] : [...fits].sort((a, b) => begins(a) - begins(b));
}
