import { stripControlCharacters } from "../../common/text.ts";

/** More than a terminal's width or two would hide what is on it. */
const MAX_LINE_CHARS = 500;

/** A line of Sallyport's among a session's output. A program can write the same, so it proves nothing. */
export function sallyportLine(text: string): string {
  return `[Sallyport: ${stripControlCharacters(text, MAX_LINE_CHARS)}]`;
}
