/** The pages that people see in a browser: plain HTML, without scripts. */
import { escapeHtml } from "../../common/html.ts";
import type { ApplicationName } from "./applications.ts";
import { PERSONA_NAMES, PERSONAS, type PersonaName } from "./personas.ts";

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f3f4f6; color: #1f2937; }
main { max-width: 26rem; margin: 12vh auto 0; padding: 2rem; background: #fff; border-radius: 12px;
  box-shadow: 0 1px 4px rgb(0 0 0 / 15%); }
h1 { font-size: 1.25rem; margin: 0 0 .5rem; }
p { margin: .5rem 0 1rem; overflow-wrap: anywhere; }
ul { list-style: none; margin: 0; padding: 0; }
a { display: block; margin: .5rem 0; padding: .625rem .875rem; border: 1px solid #d1d5db; border-radius: 8px;
  color: inherit; text-decoration: none; }
a:hover, a:focus-visible { border-color: #2563eb; background: #eff6ff; }
a span, small { display: block; color: #6b7280; font-size: .8125rem; }
`;

const APPLICATION_TITLES: Readonly<Record<ApplicationName, string>> = {
  host: "the clusters",
  admin: "the admin API",
};

export interface SignInPage {
  readonly application: ApplicationName;
  /** What asks for the sign-in, where it is not the browser itself. It names itself. */
  readonly clientName?: string;
  /** Where somebody signs in as a persona. */
  readonly addressOf: (persona: PersonaName) => string;
}

/** Lets somebody choose who they are, in place of an identity provider. */
export function signInPage({ application, clientName, addressOf }: SignInPage): Response {
  const who = clientName === undefined ? "You are" : `<b>${escapeHtml(clientName)}</b> on this machine is`;
  const choices = PERSONA_NAMES.map(
    (name) =>
      `<li><a id="${name}" href="${escapeHtml(addressOf(name))}">${name}<span>${PERSONAS[name].email}</span></a></li>`,
  );
  return page(
    200,
    "Sign in",
    `<p>${who} signing in to <b>${APPLICATION_TITLES[application]}</b> of Sallyport's local stack. Who are you?</p>
<ul>${choices.join("")}</ul>
<small>This is a fake of Cloudflare Access. It asks for no password.</small>`,
  );
}

/** Says why nobody can sign in here. */
export function refusalPage(status: number, title: string, message: string): Response {
  return page(status, title, `<p>${escapeHtml(message)}</p>`);
}

function page(status: number, title: string, body: string): Response {
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Sallyport's local stack</title>
<style>${STYLE}</style>
<main><h1>${title}</h1>${body}</main>
</html>
`;
  return new Response(html, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    },
  });
}
