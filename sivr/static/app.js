// @ts-check
/** The page: who is logged in decides which page an address opens. */
import { fill, h } from "./lib/dom.js";
import { jsonOf, send, asProblem } from "./net/http.js";
import { session } from "./net/session.js";
import { changeMe } from "./net/toplevel.js";
import { spoken, t } from "./model/language.js";
import { pageAt, routes } from "./model/routes.js";
import { openDialog } from "./components/dialog.js";
import { loading, trouble } from "./components/states.js";
import "./components/shell.js";
import "./pages/login.js";

const shell = /** @type {import("./components/shell.js").Shell} */ (document.createElement("sivr-shell"));
/** Where the user wanted to go before the log in. */
let wanted = "";
/** @type {{close: () => void} | null} */
let asking = null;

/** Pages that come after the log in, so that a slow line has the log in soon. @type {Record<string, () => Promise<unknown>>} */
const PAGES = {
  "sivr-password-page": () => import("./pages/password.js"),
  "sivr-patients-page": () => import("./pages/patients.js"),
  "sivr-patient-page": () => import("./pages/patient.js"),
  "sivr-viewer-page": () => import("./pages/viewer.js"),
  "sivr-administration-page": () => import("./pages/administration.js"),
  "sivr-profile-page": () => import("./pages/profile.js"),
};

/** Fetch what the other pages need, all at once and before it is asked for. */
function prepare() {
  for (const later of document.querySelectorAll("link[rel=later]")) /** @type {HTMLLinkElement} */ (later).rel = "modulepreload";
}

function home() {
  return session.user?.roles.includes("physician") ? routes.patients()
    : session.user?.roles.includes("administrator") ? routes.administration() : routes.profile();
}

/** Counts pages: one that comes late must not replace a later one. */
let opened = 0;

/** @param {string} tag @param {Record<string, any>} [values] @param {(page: HTMLElement) => void} [then] */
async function open(tag, values = {}, then) {
  const mine = (opened += 1);
  if (PAGES[tag] && !customElements.get(tag)) {
    prepare();
    fill(shell.main, loading());
    try {
      await PAGES[tag]();
    } catch {
      if (mine === opened) fill(shell.main, trouble(t("page.missing"), () => location.reload()));
      return;
    }
    if (mine !== opened) return;
  }
  const page = document.createElement(tag);
  Object.assign(page, values);
  then?.(page);
  fill(shell.main, page);
  window.scrollTo(0, 0);
}

function route() {
  for (const dialog of document.querySelectorAll("dialog[open]")) if (!asking) /** @type {HTMLDialogElement} */ (dialog).close();
  if (!session.user) {
    if (location.hash && pageAt(location.hash)) wanted = location.hash;
    open("sivr-login-page");
    return;
  }
  if (session.mustChangePassword) {
    open("sivr-password-page", {}, (page) => page.addEventListener("done", () => {
      shell.draw();
      route();
    }));
    return;
  }
  const found = pageAt(location.hash);
  if (!found) {
    const target = wanted || home();
    wanted = "";
    // Not an entry of its own in the history, so that "back" leaves rather than loops.
    history.replaceState(null, "", target);
    route();
    shell.draw();
    return;
  }
  open(`sivr-${found.page}-page`, { parameters: found.parameters });
}

/** The session could not be renewed: ask for the password over the page, so that nothing typed is lost. */
function ask() {
  if (asking) return;
  const form = document.createElement("sivr-login-form");
  const { close } = openDialog(t("login.again"), [h("p", {}, t("login.again.why")), form], { closable: false, onclose: () => (asking = null) });
  asking = { close };
  form.addEventListener("done", close);
}

session.addEventListener("opened", () => {
  const { user } = session;
  // A language chosen on the log in page is meant: the profile follows it.
  if (user && spoken.chosen && user.language !== spoken.now) changeMe({ language: spoken.now }).then((changed) => session.keep(changed)).catch(() => {});
  else if (user) spoken.set(user.language);
  if (wanted) history.replaceState(null, "", wanted);
  wanted = "";
  route();
});
session.addEventListener("lost", ask);
session.addEventListener("closed", () => {
  asking?.close();
  history.replaceState(null, "", "#/");
  wanted = "";
  route();
});
spoken.addEventListener("change", () => {
  if (shell.isConnected) route();
});
window.addEventListener("hashchange", route);
for (const event of ["dragover", "drop"]) {
  // A file dropped beside the field must not replace the page.
  window.addEventListener(event, (happened) => happened.preventDefault());
}

async function begin() {
  try {
    const config = await jsonOf(await send(new URL("config.json", document.baseURI).href, { timeout_ms: 20_000 }));
    document.documentElement.dataset.version = config.version;
    const known = await session.start(config.toplevels);
    fill(document.body, shell);
    if (!known) route();
    // Whoever types will go on: meanwhile the line is free. The log in itself stays light.
    addEventListener("input", prepare, { once: true });
    setTimeout(prepare, 5000);
  } catch (error) {
    fill(document.body, h("main", { class: "page center" }, trouble(asProblem(error).message, () => location.reload())));
  }
}

begin();
