import type { JSX } from "preact";
import type { Words } from "../rules/words.ts";
import { UntrustedCode } from "./untrusted.tsx";

/** A sentence about the configuration document: its names are code. */
export function Sentence({ words }: { readonly words: Words }): JSX.Element {
  return (
    <>
      {words.map((part, index) => (typeof part === "string" ? part : <UntrustedCode key={index} text={part.code} />))}
    </>
  );
}
