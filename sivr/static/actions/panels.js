// @ts-check
/** Panels beside the pictures. */
import "../components/annotation-list.js";
import "../components/findings.js";
import "../components/network-panel.js";
import "../model/messages/measure.js";
import "../components/volume-panel.js";

/**
 * @typedef {object} Panel
 * @property {string} label key of its name @property {string} icon
 * @property {boolean} [curious] opened by its key only
 * @property {(page: import("../pages/viewer.js").ViewerPage) => Node} draw what is in it, made anew whenever it opens
 */

/** By id; a button each at the top. @type {Record<string, Panel>} */
export const PANELS = {
  volume: {
    label: "volume.panel", icon: "settings",
    draw: (page) => Object.assign(document.createElement("sivr-volume-panel"), { page }),
  },
  findings: {
    label: "findings", icon: "edit",
    draw: (page) => {
      const { study } = page.workspace.active;
      const { institution, uid } = study ?? page.studies[0];
      return Object.assign(document.createElement("sivr-findings"), { institution, study: uid });
    },
  },
  annotations: {
    label: "annotations", icon: "length",
    draw: (page) => Object.assign(document.createElement("sivr-annotation-list"), { study: page.workspace.active.study ?? page.studies[0], workspace: page.workspace, page }),
  },
  network: { label: "network", icon: "signal", curious: true, draw: () => document.createElement("sivr-network") },
};
