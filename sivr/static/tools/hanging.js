// @ts-check
/** A reader's own hanging protocols, kept for every computer. */
import { keep, kept } from "../net/settings.js";

/** @typedef {import("../model/hanging.js").Protocol} Protocol */

const NAME = "hanging.protocols";
const MOST = 40;

/** @returns {Promise<Protocol[]>} */
export const ownProtocols = () => kept(NAME, /** @type {Protocol[]} */ ([]));

/** Keep a protocol; one with its name is replaced. @param {Protocol} protocol */
export const keepProtocol = (protocol) =>
  keep(NAME, /** @type {Protocol[]} */ ([]), (all) => [protocol, ...all.filter((one) => one.name !== protocol.name)].slice(0, MOST));

/** @param {string} id */
export const removeProtocol = (id) => keep(NAME, /** @type {Protocol[]} */ ([]), (all) => all.filter((one) => one.id !== id));
