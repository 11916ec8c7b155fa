"""The drivers that ship with the product. One module or package per wire format."""
