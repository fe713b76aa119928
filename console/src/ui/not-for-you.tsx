import type { JSX } from "preact";
import { me } from "../me.ts";

/** In place of a page that needs a role which the person does not have. */
export function NotForYou(): JSX.Element {
  return (
    <p>
      This page needs a role in Sallyport that <bdi>{me.value?.identity}</bdi> does not have: contact your
      administrator.
    </p>
  );
}
