/*
 * read.h
 *		Reading: what a fold would change, without folding.
 */
#ifndef KPI_READ_H
#define KPI_READ_H

/* installs the transaction callbacks; called once, when the library is loaded */
extern void kpi_read_install(void);

#endif							/* KPI_READ_H */
