//! What every query is besides a query: it can be copied, compared, hashed and shown, whatever the
//! document is that it brings.

/// Implements `Clone`, `Debug`, `PartialEq`, `Eq` and `Hash` for a query with a `document` marker,
/// without asking anything of the document.
macro_rules! typed {
    ($name:ident { $($field:ident),* }) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self { $($field: self.$field.clone(),)* document: ::std::marker::PhantomData }
            }
        }

        impl<T> ::std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish()
            }
        }

        impl<T> PartialEq for $name<T> {
            fn eq(&self, _other: &Self) -> bool {
                true $(&& self.$field == _other.$field)*
            }
        }

        impl<T> Eq for $name<T> {}

        impl<T> ::std::hash::Hash for $name<T> {
            fn hash<H: ::std::hash::Hasher>(&self, _state: &mut H) {
                $(::std::hash::Hash::hash(&self.$field, _state);)*
            }
        }
    };
}

pub(super) use typed;

/// Says which document a query brings, without having one.
pub(super) type Brings<T> = std::marker::PhantomData<fn() -> T>;
