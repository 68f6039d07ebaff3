// @ts-check
/** What the network panel says. */
import { say } from "../catalogue.js";

say({
  "network": { en: "Network", hr: "Mreža" },
  "network.given": { en: "Given up", hr: "Prekinuto" },
  "network.given.of": { en: "{count} requests, {size}", hr: "{count} upita, {size}" },
  "network.goodput": { en: "Goodput", hr: "Korisni protok" },
  "network.held": { en: "Held in this tab", hr: "U memoriji kartice" },
  "network.history": { en: "Goodput of late", hr: "Korisni protok u zadnje vrijeme" },
  "network.last": { en: "Last picture", hr: "Zadnja slika" },
  "network.ms": { en: "{ms} ms", hr: "{ms} ms" },
  "network.part.decode": { en: "decoding", hr: "dekodiranje" },
  "network.part.encode": { en: "encoding", hr: "kodiranje" },
  "network.part.load": { en: "loading", hr: "učitavanje" },
  "network.part.network": { en: "network", hr: "mreža" },
  "network.part.queue": { en: "queue", hr: "red čekanja" },
  "network.part.render": { en: "rendering", hr: "iscrtavanje" },
  "network.parts": { en: "Where its time went", hr: "Kamo je otišlo vrijeme" },
  "network.protocol": { en: "Protocol", hr: "Protokol" },
  "network.quality": { en: "Quality", hr: "Kvaliteta" },
  "network.rate": { en: "{rate} Mbit/s", hr: "{rate} Mbit/s" },
  "network.received": { en: "Received", hr: "Primljeno" },
  "network.round": { en: "Round trip", hr: "Povratno vrijeme" },
  "network.underway": { en: "Under way", hr: "U tijeku" },
  "network.whole": { en: "It took", hr: "Trajalo je" },
});
