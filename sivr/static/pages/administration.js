// @ts-check
import { afterPause, fill, h } from "../lib/dom.js";
import { icon } from "../lib/icons.js";
import { View } from "../lib/view.js";
import { asProblem } from "../net/http.js";
import { institutionAt } from "../net/institution.js";
import { nodeAt } from "../net/node.js";
import { session } from "../net/session.js";
import { institutionList, institutions, recordTypes, users } from "../net/toplevel.js";
import { LANGUAGES, moment, t } from "../model/language.js";
import { routes } from "../model/routes.js";
import { confirmed, notice, openDialog } from "../components/dialog.js";
import { changes, form } from "../components/form.js";
import { empty, loading, trouble } from "../components/states.js";

/** @typedef {import("../components/form.js").Field} Field */
/** @typedef {{head: string[], cells: (item: any) => (string | Node)[], actions: (item: any) => Node[]}} Columns */

const TABS = ["users", "institutions", "record-types", "nodes"];
const PAGE = 100;

/** Users, institutions, record types and render nodes. */
export class AdministrationPage extends View {
  /** @type {Record<string, string>} */
  parameters = {};
  #body = h("section", { class: "card admin" });

  start() {
    this.className = "page";
    document.title = `${t("nav.administration")} · SIVR`;
    const tab = TABS.includes(this.parameters.tab) ? this.parameters.tab : TABS[0];
    fill(this, h("h1", {}, t("nav.administration")),
      h("nav", { class: "tabs wide", "aria-label": t("nav.administration") }, TABS.map((one) =>
        h("a", { href: routes.administration(one), "aria-current": one === tab ? "page" : undefined }, t(`admin.${one}`)))),
      this.#body);
    const draw = { users: () => this.#users(), institutions: () => this.#institutions(), "record-types": () => this.#recordTypes(), nodes: () => this.#nodes() };
    draw[/** @type {keyof typeof draw} */ (tab)]();
  }

  /**
   * A heading with its button, a place for the list, and how to fill it.
   * @param {string} create label of the button @param {() => void} oncreate @param {() => Promise<any[]>} gather
   * @param {Columns} columns @param {Node[]} [above]
   * @returns {(() => Promise<void>) & {newest: (item: any) => Promise<any>}} fetches and draws; newest finds an item again
   */
  #lister(create, oncreate, gather, columns, above = []) {
    const place = h("div", { class: "table-place" });
    fill(this.#body, h("div", { class: "admin-head" }, above, h("span", { class: "push" }),
      h("button", { type: "button", class: "primary", "data-action": "create", onclick: oncreate }, icon("add"), create)), place);
    const load = async () => {
      if (!place.children.length) fill(place, loading());
      try {
        const items = await gather();
        fill(place, items.length ? table(items, columns) : empty(t("none.yet")));
      } catch (error) {
        const problem = asProblem(error);
        if (!problem.canceled) fill(place, trouble(problem.message, load));
      }
    };
    load();
    // Somebody else may have changed it since the list was drawn.
    const newest = async (/** @type {any} */ item) => item && ((await gather().catch(() => [])).find((one) => one.id === item.id) ?? item);
    return Object.assign(load, { newest });
  }

  async #users() {
    fill(this.#body, loading());
    const known = await institutions().catch(() => []);
    const search = h("input", { type: "search", placeholder: t("users.search"), "aria-label": t("users.search") });
    /** @type {(user: any) => Field[]} */
    const fields = (user) => [
      { name: "login", label: t("login.login"), required: true },
      { name: "name", label: t("user.name"), required: true },
      { name: "email", label: t("email"), type: "email" },
      { name: "phone", label: t("phone"), type: "tel" },
      { name: "language", label: t("language"), type: "select", options: Object.entries(LANGUAGES) },
      ...(user ? [] : [/** @type {Field} */ ({ name: "password", label: t("user.password"), type: "password", required: true, autocomplete: "new-password", hint: t("user.password.hint") })]),
      { name: "roles", label: t("user.roles"), type: "checks", options: [["physician", t("role.physician")], ["administrator", t("role.administrator")]] },
      { name: "institutions", label: t("user.institutions"), type: "checks", options: known.map((one) => [one.id, one.name]) },
      { name: "active", label: t("user.active"), type: "check" },
    ];
    const edit = async (/** @type {any} */ shown) => {
      const user = await load.newest(shown);
      this.#edit(user ? t("user.edit") : t("user.create"), fields(user), user ?? { active: true, language: "en", roles: ["physician"] }, user,
        (fresh) => users.create(fresh), (change) => users.change(user.id, change), load);
    };
    const load = this.#lister(t("user.create"), () => edit(null),
      async () => (await users.list({ query: search.value.trim(), limit: PAGE })).items,
      {
        head: [t("user.name"), t("login.login"), t("user.roles"), t("user.institutions"), t("state")],
        cells: (user) => [user.name, user.login, user.roles.map((/** @type {string} */ role) => t(`role.${role}`)).join(", "),
          user.institutions.map((/** @type {string} */ id) => known.find((one) => one.id === id)?.name ?? id).join(", "), state(user)],
        actions: (user) => [
          button("edit", t("edit"), () => edit(user)),
          button("reset", t("user.password.give"), () => this.#givePassword(user)),
          ...(user.locked_until && new Date(user.locked_until) > new Date() ? [button("check", t("user.unlock"), async () => {
            await attempt(() => users.unlock(user.id));
            load();
          })] : []),
        ],
      }, [search]);
    this.listen(search, "input", afterPause(200, load));
  }

  /** @param {any} user */
  #givePassword(user) {
    const { close } = openDialog(t("user.password.give"), [
      h("p", {}, t("user.password.for", { name: user.name })),
      form({
        fields: [{ name: "next", label: t("password.new"), type: "password", required: true, autocomplete: "new-password", wide: true, hint: t("user.password.hint") }],
        submit: t("save"),
        oncancel: () => close(),
        onsubmit: async ({ next }) => {
          await users.givePassword(user.id, next);
          close();
          notice(t("saved"));
        },
      }),
    ]);
  }

  #institutions() {
    /** @type {(item: any) => Field[]} */
    const fields = (item) => [
      { name: "id", label: t("short.name"), required: true, disabled: !!item, pattern: "[a-z0-9](-?[a-z0-9])*", hint: t("short.name.hint") },
      { name: "name", label: t("name"), required: true },
      { name: "url", label: t("url"), type: "url", required: true, wide: true },
      { name: "address", label: t("address"), wide: true },
      { name: "active", label: t("active"), type: "check" },
    ];
    const edit = async (/** @type {any} */ shown) => {
      const item = await load.newest(shown);
      this.#edit(item ? t("institution.edit") : t("institution.create"), fields(item), item ?? { active: true, url: "https://" }, item,
        (fresh) => institutionList.create(fresh), (change) => institutionList.change(item.id, change), load);
    };
    const load = this.#lister(t("institution.create"), () => edit(null), async () => (await institutionList.list()).items, {
      head: [t("name"), t("short.name"), t("url"), t("address"), t("state")],
      cells: (item) => [item.name, item.id, item.url, item.address, state(item)],
      actions: (item) => [button("edit", t("edit"), () => edit(item)), button("close", t("remove"), () => this.#remove(item.name, () => institutionList.remove(item.id), load))],
    });
  }

  #recordTypes() {
    /** @type {Field[]} */
    const fields = [
      { name: "code", label: t("code"), required: true }, { name: "name", label: t("name"), required: true },
      { name: "modalities", label: t("modalities"), type: "list", hint: t("modalities.hint") },
      { name: "description", label: t("description"), type: "textarea", rows: 3 }, { name: "active", label: t("active"), type: "check" },
    ];
    const edit = async (/** @type {any} */ shown) => {
      const item = await load.newest(shown);
      this.#edit(item ? t("record.edit") : t("record.create"), fields, item ?? { active: true }, item,
        (fresh) => recordTypes.create(fresh), (change) => recordTypes.change(item.id, change), load);
    };
    const load = this.#lister(t("record.create"), () => edit(null), async () => (await recordTypes.list()).items, {
      head: [t("code"), t("name"), t("modalities"), t("description"), t("state")],
      cells: (item) => [item.code, item.name, item.modalities.join(", "), item.description, state(item)],
      actions: (item) => [button("edit", t("edit"), () => edit(item)), button("close", t("remove"), () => this.#remove(item.name, () => recordTypes.remove(item.id), load))],
    });
  }

  async #nodes() {
    fill(this.#body, loading());
    /** @type {import("../model/types.js").Institution[]} */
    let known;
    try {
      known = (await institutions()).filter((one) => one.active);
    } catch (error) {
      fill(this.#body, trouble(asProblem(error).message, () => this.#nodes()));
      return;
    }
    if (!known.length) return fill(this.#body, empty(t("studies.nowhere")));
    const where = h("select", { "aria-label": t("user.institutions") }, known.map((one) => h("option", { value: one.id }, one.name)));
    const at = () => institutionAt(/** @type {import("../model/types.js").Institution} */ (known.find((one) => one.id === where.value)).url);
    /** @type {(item: any) => Field[]} */
    const fields = (item) => [
      { name: "id", label: t("short.name"), required: true, disabled: !!item, pattern: "[a-z0-9](-?[a-z0-9])*", hint: t("short.name.hint") },
      { name: "name", label: t("name"), required: true },
      { name: "url", label: t("url"), type: "url", required: true, wide: true },
      { name: "public_key", label: t("node.key"), required: true, wide: true, hint: t("node.key.hint") },
      { name: "accepts_storage", label: t("node.storage"), type: "check" },
      { name: "active", label: t("active"), type: "check" },
    ];
    const edit = async (/** @type {any} */ shown) => {
      const item = await load.newest(shown);
      this.#edit(item ? t("node.edit") : t("node.create"), fields(item), item ?? { active: true, accepts_storage: true, url: "https://" }, item,
        (fresh) => at().createNode(fresh), (change) => at().changeNode(item.id, change), load);
    };
    const load = this.#lister(t("node.create"), () => edit(null), async () => (await at().nodes()).items, {
      head: [t("name"), t("short.name"), t("url"), t("node.storage"), t("node.seen"), t("state")],
      cells: (item) => [item.name, item.id, item.url, t(item.accepts_storage ? "yes" : "no"), moment(item.last_seen_at) || t("never"), state(item)],
      actions: (item) => [button("edit", t("edit"), () => edit(item)), button("series", t("queues"), () => this.#queues(item)),
        button("close", t("remove"), () => this.#remove(item.name, () => at().removeNode(item.id), load))],
    }, [where]);
    this.listen(where, "change", load);
    return undefined;
  }

  /** What waits on a node, and what failed for good. @param {any} item */
  #queues(item) {
    const body = h("div", {}, loading());
    openDialog(t("queues.of", { name: item.name }), [body], { wide: true });
    const node = nodeAt(item.url);
    const load = async () => {
      /** @type {("queue" | "outbox")[]} */
      const both = ["queue", "outbox"];
      try {
        const found = await Promise.all(both.map((which) => node.queue(which)));
        fill(body, both.map((which, index) => {
          const { waiting, leased, dead = [] } = found[index];
          return h("section", { class: "queue" }, h("h3", {}, t(`queue.${which}`)), h("p", {}, t("queue.counts", { waiting, leased: leased ?? 0 })),
            dead.length ? table(dead, {
              head: [t("name"), t("reason"), t("attempts"), t("time")],
              cells: (one) => [one.name || one.kind || one.id, one.reason, String(one.attempts), moment(one.at)],
              actions: (one) => [button("retry", t("retry"), async () => {
                await attempt(() => node.retry(which, one.id));
                load();
              })],
            }) : h("p", { class: "hint" }, t("queue.nothing.dead")));
        }));
      } catch (error) {
        fill(body, trouble(asProblem(error).message, load));
      }
    };
    load();
  }

  /**
   * @param {string} title @param {Field[]} fields @param {any} values @param {any} item null for a new one
   * @param {(fresh: any) => Promise<any>} create @param {(change: any) => Promise<any>} change @param {() => void} done
   */
  #edit(title, fields, values, item, create, change, done) {
    const { close } = openDialog(title, [form({
      fields, values, submit: t(item ? "save" : "create"),
      oncancel: () => close(),
      onsubmit: async (typed) => {
        if (item) await change({ ...changes(item, typed), version: item.version });
        else await create(typed);
        close();
        notice(t("saved"));
        done();
        if (item?.id === session.user?.id) session.renew().catch(() => {});
      },
    })], { wide: true });
  }

  /** @param {string} name @param {() => Promise<any>} work @param {() => void} done */
  async #remove(name, work, done) {
    if (!(await confirmed(t("remove"), t("remove.question", { name }), t("remove")))) return;
    await attempt(work);
    done();
  }
}
customElements.define("sivr-administration-page", AdministrationPage);

/** @param {() => Promise<any>} work */
async function attempt(work) {
  try {
    await work();
    notice(t("saved"));
  } catch (error) {
    notice(asProblem(error).message, "bad");
  }
}

/** @param {any} item */
function state(item) {
  const locked = item.locked_until && new Date(item.locked_until) > new Date();
  const word = locked ? "locked" : item.active ? "active" : "inactive";
  return h("span", { class: `tag ${word}` }, t(`state.${word}`));
}

/** @param {string} sign @param {string} label @param {() => void} work */
const button = (sign, label, work) => h("button", { type: "button", class: "plain small", title: label, onclick: work }, icon(sign), h("span", {}, label));

/** @param {any[]} items @param {Columns} columns */
function table(items, columns) {
  return h("table", {},
    h("thead", {}, h("tr", {}, columns.head.map((name) => h("th", { scope: "col" }, name)), h("td", {}))),
    h("tbody", {}, items.map((item) => h("tr", {},
      columns.cells(item).map((cell, index) => h("td", { "data-label": columns.head[index] }, cell)),
      h("td", { class: "actions-cell" }, columns.actions(item))))));
}
