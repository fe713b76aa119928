/** Gives text to the clipboard. */
import type { JSX } from "preact";
import { announce } from "./announce.tsx";

/** @param what it is, for the button: "SQL" */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => announce(`${what} copied.`),
      () => announce(`The browser does not allow copying: select the ${what} and copy it.`),
    );
  return (
    <button type="button" onClick={() => void copy()}>
      Copy {what}
    </button>
  );
}
