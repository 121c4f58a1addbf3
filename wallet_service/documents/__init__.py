"""Invoices, credit notes and receipts as PDF, e-invoice, CSV and JSON: a `Document` in, bytes out.

document.py      what a document says          page.py        the same in words, for the page
formats.py       numbers, money and dates      words.py       translations/*.json
pdf.py           page → document.typ → PDF     einvoices.py   EN 16931: CII and UBL
tables.py        CSV and JSON                  plain_texts.py texts of strangers

Pure but for reading the files beside it: no database, no network, no clock.
"""
