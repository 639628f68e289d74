// Commands that the page being shown adds to the palette.
import type { Command } from './palette';

class PageCommands {
  list: readonly Command[] = $state.raw([]);
}

export const pageCommands = new PageCommands();
