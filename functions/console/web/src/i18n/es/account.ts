/** The WhatsApp account, in Spanish. */

import type { Count } from '../count';
import type { AccountText } from '../en/account';

export const account = (count: Count): AccountText => ({
  title: 'Cuenta',
  budget: 'Techo',
  budgetHelp: (n) => count(n, 'mensaje', 'mensajes') + ' por segundo, nunca más',
  limit: 'Personas nuevas en 24 horas',
  limitNone: 'sin límite',
  limitUnknown: 'desconocido',
  number: 'Número',
  phone: 'Número de teléfono',
  shownName: 'Nombre que ven las personas',
  throughput: 'Capacidad',
  throughputs: { STANDARD: 'Estándar: 80 mensajes por segundo', HIGH: 'Alta: 1.000 mensajes por segundo' },
  numberStatuses: {
    CONNECTED: 'Conectado',
    PENDING: 'Aún sin conectar',
    FLAGGED: 'Marcado por Meta por su calidad',
    RESTRICTED: 'Restringido por Meta: agotó su límite',
    RATE_LIMITED: 'Frenado por Meta',
    DISCONNECTED: 'Desconectado',
    BANNED: 'Bloqueado por Meta',
    MIGRATED: 'Trasladado a otra cuenta',
    DELETED: 'Eliminado',
    UNVERIFIED: 'Sin verificar',
  },
  unreachable: 'Ahora no se puede preguntar a WhatsApp por el número. La página vuelve a preguntar sola; lo que se está enviando no se ve afectado.',
  templates: 'Plantillas',
  asked: (time) => `Según WhatsApp a las ${time}`,
  name: 'Nombre',
  language: 'Idioma',
  category: 'Categoría',
  quality: 'Calidad',
  status: 'Estado',
  statuses: { APPROVED: 'Aprobada', PENDING: 'En revisión de Meta', REJECTED: 'Rechazada por Meta', PAUSED: 'En pausa por Meta', DISABLED: 'Desactivada por Meta' },
  notices: 'Avisos de Meta',
  noNotices: 'Meta no ha enviado avisos sobre tu cuenta, número o plantillas.',
});
