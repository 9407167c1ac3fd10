package shop

import (
	"fmt"
	"regexp"
)

// What the roles say to each other. Everything carries the order's id, which is also the Idempotency-Key header.
type (
	// order is one kind of goods, wanted by one customer.
	order struct {
		ID       string `json:"id"`
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	}
	// quote is the partner's price for shipping an order.
	quote struct {
		ID            string `json:"id"`
		ShippingCents int    `json:"shipping_cents"`
	}
	// reservation says that the goods are set aside.
	reservation struct {
		ID string `json:"id"`
	}
	// payment is money to be posted for an order.
	payment struct {
		ID    string `json:"id"`
		Cents int    `json:"cents"`
	}
	// receipt says that a payment stands in the book; Repeated if it already stood there.
	receipt struct {
		ID       string `json:"id"`
		Repeated bool   `json:"repeated"`
	}
	// confirmation is what the customer gets.
	confirmation struct {
		ID         string `json:"id"`
		TotalCents int    `json:"total_cents"`
		Quote      string `json:"quote"` // live or cached
	}
)

func (o order) orderID() string   { return o.ID }
func (p payment) orderID() string { return p.ID }

// goods is what the shop sells, with the price of one piece and of its shipping in cents.
var goods = map[string]struct{ cents, shippingCents int }{
	"mug":     {1200, 490},
	"poster":  {900, 350},
	"shirt":   {2500, 490},
	"sticker": {150, 120},
}

const maxQuantity = 100

// validID keeps ids to one word, because the book has one id a line.
var validID = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

func checkID(id string) error {
	if !validID.MatchString(id) {
		return fmt.Errorf("order id %q: want 1 to 64 letters, digits or any of ._:-", id)
	}
	return nil
}

func (o order) check() error {
	if err := checkID(o.ID); err != nil {
		return err
	}
	if _, sold := goods[o.SKU]; !sold {
		return fmt.Errorf("sku %q: we sell mug, poster, shirt and sticker", o.SKU)
	}
	if o.Quantity < 1 || o.Quantity > maxQuantity {
		return fmt.Errorf("quantity %d: want 1 to %d", o.Quantity, maxQuantity)
	}
	return nil
}

func (p payment) check() error {
	if err := checkID(p.ID); err != nil {
		return err
	}
	if p.Cents < 1 {
		return fmt.Errorf("cents %d: want a positive amount", p.Cents)
	}
	return nil
}
