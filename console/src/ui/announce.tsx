/** Says to screen readers what changed without their doing. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";

const message = signal("");

/** @param text one short sentence */
export function announce(text: string): void {
  // The same text twice is said twice only if it changes.
  message.value = message.value === text ? `${text}\u00a0` : text;
}

/** The live region. The page has one. */
export function Announcements(): JSX.Element {
  return (
    <div class="visually-hidden" role="status" aria-live="polite">
      {message}
    </div>
  );
}
